(() => {
  const box = document.getElementById("search");
  const field = box.querySelector("input");
  const found = document.getElementById("found");
  const rows = [...document.querySelectorAll(".list li")].map(
    (row) => [row, (row.textContent + " " + row.title).toLowerCase()]);
  const narrow = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    for (const section of document.querySelectorAll("main section")) {
      section.hidden = !section.querySelector("li:not([hidden])");
    }
    found.textContent = words.length ? String(count) : "";
  };
  box.hidden = false;
  field.addEventListener("input", narrow);
})();
