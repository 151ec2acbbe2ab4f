// A message centre on loopback for tests: it prints what it is given, one JSON object a line, and obeys lines of JSON on
// its standard input: {"mode":"ok|reject|undelivered|quiet"} or {"mo":{"from","to","text","coding","udh"}}.
const smpp = require(process.env.SMPP_MODULE);
let mode = 'ok', n = 0, session = null;
const say = o => process.stdout.write(JSON.stringify(o) + '\n');

const server = smpp.createServer(s => {
  s.on('error', () => {});
  for (const bind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver'])
    s.on(bind, p => { s.send(p.response()); session = s; say({ event: 'bind' }); });
  s.on('enquire_link', p => s.send(p.response()));
  s.on('unbind', p => { s.send(p.response()); s.close(); });
  s.on('submit_sm', p => {
    const m = p.short_message;
    const udh = m.udh ? Buffer.concat([].concat(m.udh)).toString('hex') : '';
    say({ event: 'submit', from: p.source_addr, to: p.destination_addr, coding: p.data_coding, esm: p.esm_class,
      receipt: p.registered_delivery, udh, text: String(m.message), validity: String(p.validity_period || '') });
    if (mode === 'reject') return s.send(p.response({ command_status: smpp.ESME_RINVDSTADR }));
    const id = (++n).toString(16).padStart(8, '0');
    s.send(p.response({ message_id: id }));
    if (!p.registered_delivery || mode === 'quiet') return;
    const stat = mode === 'undelivered' ? 'UNDELIV err:069' : 'DELIVRD err:000';
    s.deliver_sm({ source_addr: p.destination_addr, destination_addr: p.source_addr, esm_class: 4, short_message:
      `id:${id} sub:001 dlvrd:001 submit date:2611230700 done date:2611230701 stat:${stat} text:` });
  });
});
server.listen(+process.env.SMPP_PORT, '127.0.0.1', () => say({ event: 'listening' }));

require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const c = JSON.parse(line);
  if (c.mode) { mode = c.mode; say({ event: 'mode' }); }
  if (c.mo) session.deliver_sm({ source_addr: c.mo.from, destination_addr: c.mo.to, data_coding: c.mo.coding, esm_class: c.mo.udh ? 0x40 : 0,
    short_message: c.mo.udh ? { udh: Buffer.from(c.mo.udh, 'hex'), message: c.mo.text } : { message: c.mo.text } });
}).on('close', () => process.exit(0));
