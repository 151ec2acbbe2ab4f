// Live pages: the server says what kind of thing changed, and every block that listens for it asks again.
// <div hx-get="/board/live" hx-trigger="live:calls from:body" hx-swap="innerMorph">
const kinds = ['calls', 'tickets', 'survey', 'alert', 'oversight'];
let source;

function connect() {
  if (!document.body.dataset.live) return;
  source = new EventSource('/events');
  source.onopen = () => {
    document.body.classList.remove('offline');
    // What happened while the line was down is not repeated, so everything asks again.
    if (source.again) kinds.forEach(tell);
    source.again = true;
  };
  source.onerror = () => document.body.classList.add('offline');
  kinds.forEach(kind => source.addEventListener(kind, () => tell(kind)));
}

function tell(kind) {
  document.body.dispatchEvent(new CustomEvent('live:' + kind));
}

// Clocks that count: <time data-since="1763880000000"> shows how long ago.
function clock(ms) {
  const s = Math.max(0, Math.floor(ms / 1000)), h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60;
  const two = n => String(n).padStart(2, '0');
  return (h ? h + ':' + two(m) : m) + ':' + two(s % 60);
}
function tick() {
  const now = Date.now();
  for (const t of document.querySelectorAll('time[data-since]')) t.textContent = clock(now - +t.dataset.since);
}
setInterval(tick, 1000);
document.addEventListener('htmx:after:swap', tick);
tick();

// On a telephone tables fold, and their heads go: a figure then says itself what it counts.
function label() {
  for (const table of document.querySelectorAll('table.fold')) {
    const heads = [...table.querySelectorAll('thead th')].map(th => th.textContent.trim());
    for (const row of table.querySelectorAll('tbody tr'))
      [...row.cells].forEach((cell, i) => { if (heads[i] && cell.classList.contains('num')) cell.dataset.head = heads[i]; });
  }
}
document.addEventListener('htmx:after:swap', label);
label();

document.addEventListener('click', event => {
  if (event.target.closest('[data-print]')) window.print();
  else if (event.target.closest('[data-menu]')) document.body.classList.toggle('menu-open');
  else if (event.target.closest('.side a, .shade')) document.body.classList.remove('menu-open');
  // The mark of where one is follows the click; the page is swapped without the shell.
  const link = event.target.closest('nav a[hx-get]');
  if (link) for (const a of document.querySelectorAll('nav a[hx-get]')) {
    if (a.getAttribute('href') === link.getAttribute('href')) a.setAttribute('aria-current', 'page');
    else a.removeAttribute('aria-current');
  }
});

// Which groups of the menu stand open is the reader's own choice and stays.
for (const group of document.querySelectorAll('.side details[data-group]')) {
  const key = 'menu:' + group.dataset.group, was = localStorage.getItem(key);
  if (was && !group.querySelector('[aria-current]')) group.open = was === 'open';
  group.addEventListener('toggle', () => localStorage.setItem(key, group.open ? 'open' : 'closed'));
}

// The form of a connector shows what the chosen kind uses.
document.addEventListener('change', event => {
  const form = event.target.closest('.by-kind');
  if (form && event.target.name === 'kind') form.dataset.kind = event.target.value;
});

connect();
