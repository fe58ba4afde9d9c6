"""completion: print a completion script for a shell."""

from __future__ import annotations

from typing import Literal

from .app import app


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes commands and options in a shell.

    bash: source <(pgcgan completion bash), in ~/.bashrc to keep it. zsh: the same with zsh, in ~/.zshrc after compinit.
    fish: pgcgan completion fish | source.

    Parameters
    ----------
    shell
        The shell that reads the script.
    """
    print(app.generate_completion(shell=shell), end="")
    if shell == "bash":
        print("complete -o default -F _pgcgan pgcgan  # file names where no option is completed")
    elif shell == "zsh":
        print("compdef _cyclopts_pgcgan pgcgan")  # the script alone is for a file in fpath
