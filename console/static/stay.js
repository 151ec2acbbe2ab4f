// While a call is up, pages change without leaving: a form or link that would load a new page is fetched, and its middle put into the
// shell. A full load would tear the call's sound for a second or two (the dock takes the call back, but the caller hears the gap).
export function stay(talking) {
  const main = document.getElementById('main');

  async function go(url, options) {
    let r;
    try {
      r = await fetch(url, { ...options, headers: { ...options.headers, 'HX-Request': 'true' } });
    } catch {
      document.body.classList.add('offline');
      return;
    }
    if (r.headers.get('HX-Redirect')) return location.assign(r.headers.get('HX-Redirect'));
    if (!(r.headers.get('Content-Type') || '').startsWith('text/html')) return window.open(r.url, '_blank');
    main.innerHTML = await r.text();
    history.pushState({ htmx: true }, '', r.url);
    if (window.htmx) htmx.process(main);
    document.dispatchEvent(new CustomEvent('htmx:after:swap'));
    main.focus({ preventScroll: true });
    scrollTo(0, 0);
  }

  // After htmx and the page's own handlers: what they have taken is theirs.
  document.addEventListener('submit', event => {
    const form = event.target;
    if (event.defaultPrevented || !talking() || form.target || form.matches('[hx-post], [hx-get]') || form.action.endsWith('/sign-out')) return;
    event.preventDefault();
    const data = new FormData(form, event.submitter);
    const action = new URL(event.submitter && event.submitter.getAttribute('formaction') || form.getAttribute('action') || location.href, location.href);
    if (form.method === 'get') {
      action.search = new URLSearchParams(data);
      go(action, {});
    } else {
      go(action, { method: 'POST', body: form.enctype === 'multipart/form-data' ? data : new URLSearchParams(data) });
    }
  });
  document.addEventListener('click', event => {
    const link = event.target.closest('a[href]');
    if (!link || event.defaultPrevented || !talking() || event.button || event.ctrlKey || event.metaKey || event.shiftKey || link.target ||
      link.hasAttribute('download') || link.hasAttribute('hx-get') || link.origin !== location.origin || link.pathname.startsWith('/lang/')) return;
    if (link.pathname === location.pathname && link.search === location.search && link.hash) return;
    event.preventDefault();
    go(link.href, {});
  });
}
