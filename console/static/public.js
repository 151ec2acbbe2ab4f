// The public's form: shows the work that keeps floods away, where one is, and the pictures chosen. All of it can be missing.
'use strict';

// SHA-256 (FIPS 180-4) of a short ASCII text, as its first 32-bit word: enough to count leading zero bits up to 32.
const K = new Int32Array(64), H0 = new Int32Array(8);
(() => { // fractional parts of the cube and square roots of the first primes
  const frac = x => ((x - Math.floor(x)) * 4294967296) | 0;
  let n = 0;
  for (let p = 2; n < 64; p++) {
    let prime = true;
    for (let d = 2; d * d <= p; d++) if (p % d === 0) { prime = false; break; }
    if (!prime) continue;
    if (n < 8) H0[n] = frac(Math.sqrt(p));
    K[n++] = frac(Math.cbrt(p));
  }
})();
const W = new Int32Array(64);
function firstWord(text) {
  const len = text.length, blocks = ((len + 8) >> 6) + 1, h = Int32Array.from(H0);
  for (let b = 0; b < blocks; b++) {
    for (let i = 0; i < 16; i++) {
      let w = 0;
      for (let j = 0; j < 4; j++) {
        const at = b * 64 + i * 4 + j;
        w = (w << 8) | (at < len ? text.charCodeAt(at) : at === len ? 0x80 : 0);
      }
      W[i] = w;
    }
    if (b === blocks - 1) W[15] = len * 8;
    for (let i = 16; i < 64; i++) {
      const x = W[i - 15], y = W[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      W[i] = (W[i - 16] + s0 + W[i - 7] + s1) | 0;
    }
    let [a, bb, c, d, e, f, g, hh] = h;
    for (let i = 0; i < 64; i++) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (hh + s1 + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & bb) ^ (a & c) ^ (bb & c))) | 0;
      hh = g; g = f; f = e; e = (d + t1) | 0; d = c; c = bb; bb = a; a = (t1 + t2) | 0;
    }
    h[0] += a; h[1] += bb; h[2] += c; h[3] += d; h[4] += e; h[5] += f; h[6] += g; h[7] += hh;
  }
  return h[0] >>> 0;
}

const form = document.querySelector('form[data-proof]');
if (form) {
  const challenge = form.dataset.proof, proof = form.elements.proof, send = form.querySelector('[data-send]'), working = form.querySelector('[data-working]');
  let wants = false, n = 0;
  // In slices, so that typing never waits.
  const work = () => {
    for (const end = performance.now() + 12; performance.now() < end;) {
      for (let i = 0; i < 50; i++, n++) if ((firstWord(challenge + ':' + n) >>> 16) === 0) {
        proof.value = n;
        form.dataset.ready = '1';
        if (wants) form.requestSubmit();
        return;
      }
    }
    setTimeout(work, 0);
  };
  work();
  form.addEventListener('submit', event => {
    if (!proof.value) {
      event.preventDefault();
      wants = true;
      working.hidden = false;
    } else {
      setTimeout(() => { send.disabled = true; }, 0);
    }
  });

  const locate = form.querySelector('[data-locate]');
  if (navigator.geolocation && window.isSecureContext) {
    locate.hidden = false;
    locate.addEventListener('click', () => navigator.geolocation.getCurrentPosition(pos => {
      form.elements.lat.value = pos.coords.latitude.toFixed(6);
      form.elements.lng.value = pos.coords.longitude.toFixed(6);
      form.querySelector('[data-located]').hidden = false;
    }));
  }
  const anonymous = form.querySelector('[data-anonymous]'), who = form.querySelector('[data-who]');
  const hide = () => { who.hidden = anonymous.checked; };
  anonymous.addEventListener('change', hide);
  hide();
  const pictures = form.querySelector('[data-pictures]');
  form.elements.photo.addEventListener('change', () => {
    pictures.replaceChildren(...[...form.elements.photo.files].slice(0, 8).map(f => {
      const img = document.createElement('img');
      img.src = URL.createObjectURL(f);
      img.alt = f.name;
      return img;
    }));
  });
}
