// Before anything is painted: the theme that this browser's user chose, if any.
{
  const chosen = localStorage.getItem("theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
  document.documentElement.dataset.scripts = "on";
}
