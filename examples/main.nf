// Synthetic people for several regions: nextflow run examples/main.nf
// With your own people: --vcf my.vcf.gz --panel my.tsv --split split.tsv

params.vcf = null
params.panel = null
params.split = null
params.regions = ['1:1-150000', '1:150001-300000']
params.outdir = 'results'

process SIMULATE {
    output:
    tuple path('cohort.vcf.gz'), path('cohort.panel.tsv'), path('split.tsv')

    script:
    """
    pgcgan simulate --people 400 --length 300000 --seed 1 --split split.tsv -o cohort.vcf.gz
    """
}

process TRAIN {
    cpus 1
    memory '4 GB'

    input:
    tuple path(vcf), path(panel), path(split), val(region)

    output:
    tuple path(vcf), path(panel), path(split), val(region), path('region.model')

    script:
    """
    export OMP_NUM_THREADS=${task.cpus}
    pgcgan train ${vcf} --panel ${panel} --split ${split} --region ${region} --min-maf 0.01 --seed 1 -o region.model
    """
}

process GENERATE {
    publishDir params.outdir, mode: 'copy', pattern: 'synthetic.*', saveAs: { name -> "${region.replaceAll(/\W/, '_')}.${name}" }

    input:
    tuple path(vcf), path(panel), path(split), val(region), path(model)

    output:
    tuple path(vcf), path(panel), path(split), val(region), path('synthetic.vcf.gz'), path('synthetic.panel.tsv')

    script:
    """
    pgcgan generate ${model} --like ${panel} --split ${split} --seed 1 -o synthetic.vcf.gz
    """
}

process EVALUATE {
    publishDir params.outdir, mode: 'copy', saveAs: { name -> "${region.replaceAll(/\W/, '_')}.${name}" }

    input:
    tuple path(vcf), path(panel), path(split), val(region), path(synthetic), path(labels)

    output:
    path 'report.html'

    script:
    """
    pgcgan evaluate --real ${vcf} --panel ${panel} --split ${split} --region ${region} --synthetic ${synthetic} --synthetic-panel ${labels} -o report.html
    """
}

workflow {
    if (params.vcf) {
        cohort = channel.of(tuple(file(params.vcf), file(params.panel), file(params.split)))
    } else {
        SIMULATE()
        cohort = SIMULATE.out
    }
    cohort.combine(channel.fromList(params.regions)) | TRAIN | GENERATE | EVALUATE
}
