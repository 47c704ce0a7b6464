"use strict";
(function () {
  var table = document.getElementById("table-of-calls");
  if (table) {
    var body = table.tBodies[0], rows = Array.from(body.rows), filter = document.getElementById("filter");
    var text = document.getElementById("filter-text"), outcome = document.getElementById("filter-outcome");
    var shown = document.getElementById("filter-shown");
    var words = rows.map(function (row) { return row.textContent.toLowerCase(); });
    var apply = function () {
      var wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean), count = 0;
      rows.forEach(function (row, index) {
        var fits = (!outcome.value || row.dataset.outcome === outcome.value) &&
          wanted.every(function (word) { return words[index].includes(word); });
        row.hidden = !fits;
        if (fits) { count += 1; }
      });
      shown.textContent = shown.dataset.words.replace("{count}", count).replace("{all}", rows.length);
    };
    text.addEventListener("input", apply);
    outcome.addEventListener("change", apply);
    filter.hidden = false;
    apply();
    var key = function (row, column) {
      var cell = row.cells[column];
      return cell.dataset.key === undefined ? cell.textContent : cell.dataset.key;
    };
    Array.from(table.tHead.rows[0].cells).forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.textContent = "";
      head.appendChild(button);
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending", sign = down ? -1 : 1;
        Array.from(table.tHead.rows[0].cells).forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        var order = rows.map(function (row, index) { return { row: row, index: index, key: key(row, column) }; });
        var numbers = order.every(function (one) { return one.key === "" || !isNaN(Number(one.key)); });
        order.sort(function (a, b) {
          var by = numbers ? Number(a.key) - Number(b.key) : a.key.localeCompare(b.key, document.documentElement.lang);
          return by * sign || a.index - b.index;
        });
        var all = document.createDocumentFragment();
        order.forEach(function (one) { all.appendChild(one.row); });
        body.appendChild(all);
      });
    });
  }
  var open = function () {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    for (var node = target; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") { node.open = true; }
    }
    if (target) { target.scrollIntoView({ block: "center" }); }
  };
  window.addEventListener("hashchange", open);
  open();
  document.querySelectorAll("button.copy").forEach(function (button) {
    if (!navigator.clipboard && !document.execCommand) { return; }
    button.hidden = false;
    button.addEventListener("click", function () {
      var text = document.getElementById(button.dataset.copy);
      var done = function () { button.textContent = button.dataset.done; };
      var byHand = function () {
        var range = document.createRange();
        range.selectNodeContents(text);
        var selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        if (document.execCommand("copy")) { done(); }
      };
      if (navigator.clipboard) { navigator.clipboard.writeText(text.textContent).then(done, byHand); } else { byHand(); }
    });
  });
})();
