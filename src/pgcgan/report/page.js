// Reading values off the figures: with a pointer, with a finger, with the arrow keys; and the legends. Names are only
// ever set as text.
(() => {
  "use strict";
  document.documentElement.classList.add("js");
  const tip = document.getElementById("tip");
  const spoken = document.getElementById("spoken");
  const all = JSON.parse(document.getElementById("values").textContent);

  function number(value) {
    if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
    return String(Number(value.toPrecision(4)));
  }

  function show(svg, ring, x, y, lines) {
    ring.setAttribute("transform", `translate(${x} ${y})`);
    svg.append(ring);
    tip.replaceChildren(...lines.map((line, k) => {
      const part = document.createElement(k ? "span" : "b");
      part.textContent = line;
      return part;
    }));
    tip.hidden = false;
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    const size = tip.getBoundingClientRect();
    const left = Math.max(4, Math.min(box.left + x * scale + 12, document.documentElement.clientWidth - size.width - 4));
    let top = box.top + y * scale - size.height - 12;
    if (top < 4) top = box.top + y * scale + 16;
    tip.style.transform = `translate(${left + scrollX}px, ${top + scrollY}px)`;
    spoken.textContent = lines.join(", ");
  }

  function hide(ring) {
    ring.remove();
    tip.hidden = true;
  }

  // every plot gives: nearest(x, y) -> a place or null, step(place, key) -> a place, and say(place) -> [x, y, lines]
  function points(panel, hidden) {
    const list = panel.series.map((s) => s.px.map((px, i) => ({ s, i, px, py: s.py[i] })));
    const shown = () => list.filter((l) => l.length && !hidden.has(l[0].s.series));
    return {
      nearest(x, y) {
        let best = null, least = 28 * 28;
        for (const points of shown()) {
          for (const p of points) {
            const d = (p.px - x) ** 2 + (p.py - y) ** 2;
            if (d < least) { least = d; best = p; }
          }
        }
        return best;
      },
      step(p, key) {
        const lists = shown();
        if (!lists.length) return null;
        const at = p ? lists.findIndex((l) => l[0].s === p.s) : -1;
        if (at < 0) return lists[0][0];
        if (key === "ArrowUp" || key === "ArrowDown") {
          const other = lists[(at + (key === "ArrowUp" ? -1 : 1) + lists.length) % lists.length];
          return other.reduce((a, b) => (Math.abs(b.px - p.px) < Math.abs(a.px - p.px) ? b : a));
        }
        const last = lists[at].length - 1;
        return lists[at][Math.max(0, Math.min(last, p.i + (key === "ArrowLeft" ? -1 : 1)))];
      },
      say(p) {
        const lines = [p.s.name || "value"];
        if (p.s.words.length) lines.push(p.s.words[p.i]);
        if (p.s.x.length) lines.push(`${panel.x}: ${number(p.s.x[p.i])}`);
        if (p.s.y.length) lines.push(`${panel.y || "value"}: ${number(p.s.y[p.i])}`);
        return [p.px, p.py, lines];
      },
    };
  }

  function pairs(panel, svg) {
    const n = panel.sites.length, width = svg.viewBox.baseVal.width - 2 * panel.edge;
    const middle = svg.viewBox.baseVal.height / 2, cell = width / n;
    const place = (i, j, above) => (i >= 0 && j < n && i < j ? { i, j, above } : null);
    return {
      nearest(x, y) {
        const along = (x - panel.edge) / cell, away = Math.abs(y - middle) / cell;
        return place(Math.floor(along - away), Math.floor(along + away), y < middle);
      },
      step(p, key) {
        if (!p) return place(0, 1, true);
        const move = { ArrowLeft: [-1, -1], ArrowRight: [1, 1], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
        return place(p.i + move[0], p.j + move[1], p.above) || p;
      },
      say({ i, j, above }) {
        const k = i * n - (i * (i + 1)) / 2 + (j - i - 1);
        const x = panel.edge + ((i + j + 1) / 2) * cell, y = middle - (above ? 1 : -1) * ((j - i) / 2) * cell;
        const lines = [`${panel.sites[i]} and ${panel.sites[j]}`];
        panel.names.forEach((name, s) => lines.push(`r², ${name.toLowerCase()}: ${(panel.percent[s][k] / 100).toFixed(2)}`));
        return [x, y, lines];
      },
    };
  }

  // The whole figure as one SVG document, on white: its frame, with the panels as they are shown now.
  function svgFile(figure) {
    const file = figure.querySelector("template").content.querySelector("svg").cloneNode(true);
    file.querySelector("style").textContent = document.getElementById("file-style").content.querySelector("style").textContent;
    figure.querySelectorAll(".plot > svg").forEach((svg, k) => {
      const parts = [...svg.children].filter((part) => !part.classList.contains("ring"));
      file.querySelector(`[data-panel="${k}"]`).append(...parts.map((part) => part.cloneNode(true)));
    });
    for (const key of figure.querySelectorAll('.key[aria-pressed="false"]')) {
      for (const part of file.querySelectorAll(`[data-series="${key.dataset.key}"]`)) part.classList.add("off");
    }
    // XML has no such characters
    return new XMLSerializer().serializeToString(file).replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "\ufffd");
  }

  function save(blob, name) {
    const link = document.createElement("a");
    const address = URL.createObjectURL(blob);
    link.setAttribute("href", address);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  function savePng(text, name) {
    const picture = new Image();
    picture.onload = () => {
      const canvas = document.createElement("canvas");
      canvas.width = 3 * picture.naturalWidth;
      canvas.height = 3 * picture.naturalHeight;
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, name), "image/png");
    };
    picture.setAttribute("src", `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`);
  }

  for (const figure of document.querySelectorAll("figure")) {
    for (const button of figure.querySelectorAll("[data-save]")) {
      button.addEventListener("click", () => {
        const text = svgFile(figure), name = `${figure.id}.${button.dataset.save}`;
        if (button.dataset.save === "png") savePng(text, name);
        else save(new Blob([text], { type: "image/svg+xml" }), name);
      });
    }
    const hidden = new Set();
    for (const key of figure.querySelectorAll("button.key")) {
      key.disabled = false;
      key.addEventListener("click", () => {
        const series = Number(key.dataset.key), off = !hidden.has(series);
        if (off) hidden.add(series); else hidden.delete(series);
        key.setAttribute("aria-pressed", String(!off));
        for (const part of figure.querySelectorAll(`[data-series="${series}"]`)) part.classList.toggle("off", off);
      });
    }
    figure.querySelectorAll(".plot > svg").forEach((svg, k) => {
      const panel = all[figure.id][k];
      const read = panel.sites ? pairs(panel, svg) : points(panel, hidden);
      const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      ring.setAttribute("r", "5");
      ring.setAttribute("class", "ring");
      let at = null;
      const tell = (place) => {
        at = place;
        if (place) show(svg, ring, ...read.say(place)); else hide(ring);
      };
      const find = (event) => {
        const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
        tell(read.nearest((event.clientX - box.left) * scale, (event.clientY - box.top) * scale));
      };
      svg.tabIndex = 0;
      svg.setAttribute("aria-roledescription", "figure; the arrow keys read its values");
      svg.addEventListener("pointermove", find);
      svg.addEventListener("pointerdown", find);
      svg.addEventListener("pointerleave", () => tell(null));
      svg.addEventListener("blur", () => tell(null));
      svg.addEventListener("keydown", (event) => {
        if (event.key === "Escape") tell(null);
        if (!event.key.startsWith("Arrow")) return;
        event.preventDefault();
        tell(read.step(at, event.key));
      });
    });
  }
})();
