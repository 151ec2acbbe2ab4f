// The telephone in the browser. The server tells by events what rings; an offer is posted and answered; sound is WebRTC with G.711.
// The servers that help through firewalls, with passwords that last half a day, come with the events, too.
// The dock stands outside #main, so a call goes on while the page behind it changes.
import { stay } from './stay.js';

const box = document.getElementById('softphone');
const $ = name => box.querySelector(`[data-softphone-${name}]`);
const text = name => box.dataset[name];
const opener = document.querySelector('.softphone-open');
const title = document.title;

const calls = new Map(); // id → {card, pc, sender, state, muted, joining}
let source, mic, meter, skew = 0, ringer, ice = {};

const kept = {
  get on() { return localStorage.getItem('softphone') === 'on'; },
  set on(v) { localStorage.setItem('softphone', v ? 'on' : 'off'); },
  get clean() { return localStorage.getItem('softphone.clean') !== 'off'; },
  set clean(v) { localStorage.setItem('softphone.clean', v ? 'on' : 'off'); },
  get mic() { return localStorage.getItem('softphone.mic') || ''; },
  set mic(v) { localStorage.setItem('softphone.mic', v); },
  get out() { return localStorage.getItem('softphone.out') || ''; },
  set out(v) { localStorage.setItem('softphone.out', v); },
  // The call of this very tab, which it takes back after a reload.
  get call() { return sessionStorage.getItem('softphone.call') || ''; },
  set call(v) { v ? sessionStorage.setItem('softphone.call', v) : sessionStorage.removeItem('softphone.call'); },
};

function complain(message) {
  const p = $('error');
  p.textContent = message || '';
  p.hidden = !message;
  if (message) show(true);
}

function show(on) {
  box.hidden = !on;
  for (const b of document.querySelectorAll('[data-softphone-toggle]')) b.setAttribute('aria-expanded', on);
}

// The mark in the head of the page and in the dock.
function mark() {
  const states = [...calls.values()].map(c => c.state);
  const ringing = states.includes('ringing');
  const busy = states.some(s => s === 'talking' || s === 'held' || s === 'connecting' || s === 'lost');
  const online = source && source.readyState === EventSource.OPEN;
  const name = ringing ? 'ringing' : states.includes('talking') ? 'talking' : states.includes('held') ? 'held' : !source ? 'off' : online ? 'ready' : 'connecting';
  const colour = { ringing: 'orange', talking: 'blue', held: 'yellow', ready: 'green', off: '', connecting: 'yellow' }[name];
  const chip = $('chip');
  chip.className = 'chip ' + colour;
  chip.firstElementChild.className = 'dot ' + colour + (ringing ? ' pulse' : '');
  chip.lastElementChild.textContent = text(name);
  const label = document.querySelector('[data-softphone-status]');
  label.textContent = name === 'off' ? box.getAttribute('aria-label') : text(name);
  opener.className = 'quiet softphone-open ' + (ringing ? 'ringing' : busy ? 'busy' : name === 'ready' ? 'ready' : '');
  $('idle').hidden = calls.size > 0;
  document.title = ringing ? '☎ ' + text('ringing') + ' · ' + title : title;
  ring(ringing && !busy);
}

// A ring of our own, so that no file is needed; it is softer while one talks already (then there is none).
function ring(on) {
  if (on === !!ringer) return;
  if (!on) { clearInterval(ringer.timer); ringer.ctx.close(); ringer = undefined; return; }
  const ctx = new AudioContext();
  const burst = () => {
    for (const at of [0, .4]) {
      const gain = ctx.createGain(), t = ctx.currentTime + at;
      gain.gain.setValueAtTime(0, t);
      gain.gain.linearRampToValueAtTime(.25, t + .02);
      gain.gain.setValueAtTime(.25, t + .28);
      gain.gain.linearRampToValueAtTime(0, t + .3);
      gain.connect(ctx.destination);
      for (const f of [440, 480]) {
        const o = ctx.createOscillator();
        o.frequency.value = f;
        o.connect(gain);
        o.start(t);
        o.stop(t + .32);
      }
    }
  };
  burst();
  ringer = { ctx, timer: setInterval(burst, 3000) };
}

async function openMic() {
  const clean = kept.clean;
  const wanted = { echoCancellation: clean, noiseSuppression: clean, autoGainControl: clean };
  if (kept.mic) wanted.deviceId = { ideal: kept.mic };
  const stream = await navigator.mediaDevices.getUserMedia({ audio: wanted });
  const old = mic;
  mic = stream;
  const track = stream.getAudioTracks()[0];
  for (const c of calls.values()) {
    if (!c.sender) continue;
    track.enabled = !c.muted;
    await c.sender.replaceTrack(track);
  }
  if (old) old.getTracks().forEach(t => t.stop());
  track.addEventListener('ended', () => { if (mic === stream && source) openMic().catch(() => complain(text('nomic'))); });
  watchLevel();
  await listDevices();
}

function watchLevel() {
  if (meter) { clearInterval(meter.timer); meter.ctx.close(); }
  const ctx = new AudioContext(), analyser = ctx.createAnalyser();
  analyser.fftSize = 512;
  ctx.createMediaStreamSource(mic).connect(analyser);
  const buf = new Float32Array(analyser.fftSize);
  meter = { ctx, timer: setInterval(() => {
    analyser.getFloatTimeDomainData(buf);
    const rms = Math.sqrt(buf.reduce((a, v) => a + v * v, 0) / buf.length);
    $('level').style.width = Math.min(100, Math.max(0, 100 + 2 * 20 * Math.log10(rms + 1e-6) / 1.2)) + '%';
  }, 100) };
}

async function listDevices() {
  const all = await navigator.mediaDevices.enumerateDevices();
  const fill = (select, kind, chosen) => {
    select.replaceChildren(...all.filter(d => d.kind === kind).map(d => new Option(d.label || d.deviceId, d.deviceId, false, d.deviceId === chosen)));
  };
  fill($('mic'), 'audioinput', kept.mic || mic.getAudioTracks()[0].getSettings().deviceId);
  fill($('out'), 'audiooutput', kept.out);
  $('out-label').hidden = !('setSinkId' in HTMLMediaElement.prototype) || !$('out').options.length;
}

async function enable() {
  complain('');
  if (!window.isSecureContext) return complain(text('insecure'));
  if (!window.RTCPeerConnection || !navigator.mediaDevices) return complain(text('unsupported'));
  $('enable').disabled = true;
  try {
    await openMic();
  } catch (e) {
    return complain(text(e.name === 'NotAllowedError' ? 'denied' : 'nomic'));
  } finally {
    $('enable').disabled = false;
  }
  kept.on = true;
  $('off').hidden = true;
  $('on').hidden = false;
  listen();
}

function disable() {
  if (source) source.close();
  source = undefined;
  kept.on = false;
  kept.call = '';
  for (const [id, c] of calls) if (c.pc) post(id, 'hangup').catch(() => {});
  for (const c of calls.values()) drop(c);
  calls.clear();
  if (meter) { clearInterval(meter.timer); meter.ctx.close(); meter = undefined; }
  if (mic) mic.getTracks().forEach(t => t.stop());
  mic = undefined;
  $('off').hidden = false;
  $('on').hidden = true;
  mark();
}

function listen() {
  source = new EventSource('/softphone/events');
  source.addEventListener('state', e => update(JSON.parse(e.data)));
  source.onopen = source.onerror = mark;
  mark();
}

function drop(c) {
  if (c.pc) c.pc.close();
  clearInterval(c.stats);
  c.card.remove();
}

// update makes the dock show what the server says.
function update(state) {
  const seen = new Set();
  ice = { iceServers: state.ice || [], iceTransportPolicy: state.relay ? 'relay' : 'all' };
  for (const v of state.calls) {
    seen.add(v.id);
    let c = calls.get(v.id);
    if (!c) {
      const card = $('call').content.firstElementChild.cloneNode(true);
      card.dataset.id = v.id;
      c = { card, muted: false };
      calls.set(v.id, c);
      $('calls').append(card);
      show(true);
    }
    skew = v.now - Date.now();
    c.state = v.state;
    c.since = Date.parse(v.answered || v.started);
    paint(c, v);
    if (v.state === 'lost' || (v.state === 'talking' || v.state === 'held') && !c.pc) {
      if (kept.call === v.id && !c.joining) join(v.id).catch(() => {});
    }
  }
  for (const [id, c] of calls) if (!seen.has(id)) {
    drop(c);
    calls.delete(id);
    if (kept.call === id) kept.call = '';
  }
  mark();
}

function paint(c, v) {
  const card = c.card, at = name => card.querySelector(`[data-${name}]`);
  card.dataset.state = c.state;
  card.dataset.mine = c.pc ? 1 : 0;
  if (v) {
    at('display').textContent = v.display || text('unknown');
    at('urgent').hidden = !v.urgent;
    for (const [name, path] of [['live-link', v.live], ['call-link', v.call], ['ticket-link', v.ticket]]) {
      at(name).hidden = !path;
      if (path) {
        at(name).href = path;
        at(name).setAttribute('hx-get', path);
        at(name).setAttribute('hx-target', '#main');
        at(name).setAttribute('hx-push-url', 'true');
      }
    }
    if (window.htmx) htmx.process(card);
  }
  const away = !c.pc && !c.joining && (c.state === 'talking' || c.state === 'held' || c.state === 'connecting');
  at('state-text').textContent = away ? text('elsewhere') : c.muted && c.state === 'talking' ? text('muted') : text(c.state);
  const mute = card.querySelector('[data-do=mute]'), hold = card.querySelector('[data-do=hold]');
  mute.setAttribute('aria-pressed', c.muted);
  mute.textContent = text(c.muted ? 'unmute' : 'mute');
  hold.setAttribute('aria-pressed', c.state === 'held');
  hold.textContent = text(c.state === 'held' ? 'resume' : 'hold');
  tick(c);
}

function tick(c) {
  const s = Math.max(0, Math.floor((Date.now() + skew - c.since) / 1000)), two = n => String(n).padStart(2, '0');
  c.card.querySelector('[data-clock]').textContent = Math.floor(s / 60) + ':' + two(s % 60);
}
setInterval(() => { for (const c of calls.values()) tick(c); }, 1000);

async function post(id, what, body) {
  const r = await fetch(`/softphone/calls/${id}/${what}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: body ? JSON.stringify(body) : '{}' });
  const answer = await r.json().catch(() => ({}));
  if (!r.ok) throw new Error(answer.error || text('failed'));
  return answer;
}

// join answers a call, or takes it back.
async function join(id) {
  const c = calls.get(id);
  if (!c || c.joining || !mic) return;
  c.joining = true;
  complain('');
  for (const [other, o] of calls) if (other !== id && o.pc && o.state === 'talking') await post(other, 'hold').catch(() => {});
  const old = c.pc, pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...ice });
  try {
    const track = mic.getAudioTracks()[0];
    track.enabled = !c.muted;
    const sender = pc.addTrack(track, mic);
    pc.ontrack = e => {
      const audio = c.card.querySelector('audio');
      audio.srcObject = e.streams[0] || new MediaStream([e.track]);
      if (kept.out && audio.setSinkId) audio.setSinkId(kept.out).catch(() => {});
      audio.play().catch(() => {});
    };
    pc.onconnectionstatechange = () => {
      if (c.pc !== pc) return;
      if (pc.connectionState === 'failed') { // the network has changed: begin anew
        c.joining = false;
        join(id).catch(e => complain(e.message));
      }
    };
    await pc.setLocalDescription(await pc.createOffer());
    const { sdp } = await post(id, 'media', { sdp: pc.localDescription.sdp });
    await pc.setRemoteDescription({ type: 'answer', sdp });
    c.pc = pc;
    c.sender = sender;
    kept.call = id;
    if (old) old.close();
    watchQuality(c);
    paint(c);
  } catch (e) {
    pc.close();
    complain(e.message || text('failed'));
    throw e;
  } finally {
    c.joining = false;
  }
}

// watchQuality shows what the last seconds were like.
function watchQuality(c) {
  clearInterval(c.stats);
  let before = { lost: 0, got: 0 };
  c.stats = setInterval(async () => {
    if (!c.pc || c.pc.connectionState !== 'connected') return;
    let lost = 0, got = 0, jitter = 0, rtt = 0;
    (await c.pc.getStats()).forEach(s => {
      if (s.type === 'inbound-rtp') { lost = s.packetsLost; got = s.packetsReceived; jitter = s.jitter; }
      if (s.type === 'candidate-pair' && s.nominated) rtt = s.currentRoundTripTime || 0;
    });
    const share = (lost - before.lost) / Math.max(1, lost - before.lost + got - before.got);
    const any = got > before.got;
    before = { lost, got };
    const name = !any ? '' : share > .05 || rtt > .5 || jitter > .06 ? 'bad' : share > .015 || rtt > .25 || jitter > .03 ? 'fair' : 'good';
    c.card.querySelector('[data-quality-text]').textContent = name && text('quality') + ' ' + text(name);
  }, 2000);
}

box.addEventListener('click', async event => {
  const key = event.target.closest('[data-key]'), act = event.target.closest('[data-do]');
  const card = event.target.closest('.incall');
  if (!card) return;
  const id = card.dataset.id, c = calls.get(id);
  if (!c) return;
  try {
    if (key) {
      if (c.sender && c.sender.dtmf) c.sender.dtmf.insertDTMF(key.dataset.key, 120, 60);
      return;
    }
    switch (act && act.dataset.do) {
      case 'answer': case 'rejoin': return await join(id);
      case 'decline': return await post(id, 'decline');
      case 'hangup': kept.call = ''; return await post(id, 'hangup');
      case 'hold': return await post(id, c.state === 'held' ? 'resume' : 'hold');
      case 'mute':
        c.muted = !c.muted;
        if (c.sender && c.sender.track) c.sender.track.enabled = !c.muted;
        return paint(c);
      case 'keys': {
        const pad = card.querySelector('[data-pad]');
        pad.hidden = !pad.hidden;
        act.setAttribute('aria-expanded', !pad.hidden);
      }
    }
  } catch (e) {
    complain(e.message);
  }
});

document.addEventListener('click', event => {
  if (event.target.closest('[data-softphone-toggle]')) show(box.hidden);
});
$('enable').addEventListener('click', enable);
$('disable').addEventListener('click', disable);
$('test').addEventListener('click', () => { ring(true); setTimeout(() => ring(false), 1200); });
$('clean').checked = kept.clean;
$('clean').addEventListener('change', () => { kept.clean = $('clean').checked; openMic().catch(() => complain(text('nomic'))); });
$('mic').addEventListener('change', () => { kept.mic = $('mic').value; openMic().catch(() => complain(text('nomic'))); });
$('out').addEventListener('change', () => {
  kept.out = $('out').value;
  for (const a of box.querySelectorAll('audio')) if (a.setSinkId) a.setSinkId(kept.out).catch(() => {});
});
const talking = () => [...calls.values()].some(c => c.pc && c.state !== 'lost');
stay(talking);
window.addEventListener('beforeunload', event => { if (talking()) event.preventDefault(); });
mark();
if (kept.on) enable();
