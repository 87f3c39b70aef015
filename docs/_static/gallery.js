// The gallery's tags, which come as boxes that only a mouse can press, become buttons.
"use strict";

function makeButton(tag) {
  tag.role = "button";
  tag.tabIndex = 0;
  tag.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    tag.click();
  });
}

// The gallery makes its tags at the same event, and was there first.
document.addEventListener("DOMContentLoaded", () => {
  const tags = document.querySelectorAll(".sphx-glr-tag");
  const say = () => tags.forEach((tag) => (tag.ariaPressed = tag.classList.contains("active")));
  document.querySelectorAll(".sphx-glr-tag, #sphx-glr-tag-clear").forEach(makeButton);
  document.querySelector("#sg-tag-list")?.addEventListener("click", say);
  say();
});
