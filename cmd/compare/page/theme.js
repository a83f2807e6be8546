/* SPDX-License-Identifier: MIT */
/* The theme: the system's, unless somebody chose another. For both pages. */
'use strict';

const prefersDark = matchMedia('(prefers-color-scheme: dark)');
let chosenTheme = 'auto';

function applyTheme(theme = chosenTheme) {
  const now = theme === 'auto' ? (prefersDark.matches ? 'dark' : 'light') : theme;
  if (document.documentElement.dataset.theme === now)
    return;
  document.documentElement.dataset.theme = now;
  dispatchEvent(new Event('themechange'));
}

/* A browser may keep nothing for a file; then the choice holds for this visit. */
function remembered() {
  try {
    return localStorage.getItem('pollux-theme');
  } catch {
    return null;
  }
}

function remember(theme) {
  try {
    localStorage.setItem('pollux-theme', theme);
  } catch {
    /* see above */
  }
}

function buildTheme() {
  const inputs = [...byId('theme').querySelectorAll('input')];
  const found = inputs.find((input) => input.value === remembered());
  if (found) {
    found.checked = true;
    chosenTheme = found.value;
  }
  inputs.forEach((input) => input.addEventListener('change', () => {
    chosenTheme = input.value;
    remember(chosenTheme);
    applyTheme();
  }));
  prefersDark.addEventListener('change', () => applyTheme());
  applyTheme();
}
