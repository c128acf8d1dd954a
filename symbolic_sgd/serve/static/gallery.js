// Menus over the cards of the gallery: a card carries a class for each property, "noise-label". Without this, all of them are shown.
document.addEventListener("DOMContentLoaded", () => {
  const list = document.querySelector(".cards.gallery");
  if (!list) return;
  const cards = [...list.querySelectorAll(".card")];
  const values = (card, property) =>
    [...card.classList].filter(name => name.startsWith(property + "-")).map(name => name.slice(property.length + 1));
  const bar = document.createElement("form");
  bar.className = "filters";
  const shown = document.createElement("output");
  const menus = ["model", "noise", "codimension"].map(property => {
    const label = document.createElement("label");
    const menu = document.createElement("select");
    const found = [...new Set(cards.flatMap(card => values(card, property)))].sort();
    menu.add(new Option("all", ""));
    for (const value of found) menu.add(new Option(value.replaceAll("-", " "), value));
    label.append(property + " ", menu);
    bar.append(label);
    return [property, menu];
  });
  const show = () => {
    for (const card of cards)
      card.hidden = menus.some(([property, menu]) => menu.value && !values(card, property).includes(menu.value));
    shown.textContent = `${cards.filter(card => !card.hidden).length} of ${cards.length}`;
  };
  bar.append(shown);
  bar.addEventListener("change", show);
  list.before(bar);
  show();
});
