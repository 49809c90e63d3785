// Mumble's protocol over a WebSocket, as far as text needs it. A message is its type (2 bytes), its length (4 bytes) and
// a protobuf; those are few and simple enough to be written by hand.
"use strict";

const VERSION = 0, AUTHENTICATE = 2, PING = 3, REJECT = 4, SYNC = 5, CHANNEL_REMOVE = 6, CHANNEL = 7;
const USER_REMOVE = 8, USER = 9, TEXT = 11;
const at = (id) => document.getElementById(id);
const channels = new Map(), users = new Map();
let socket, pending = new Uint8Array(), own, synced = false;

function varint(value) {
  const bytes = [];
  while (value > 127) { bytes.push((value % 128) | 128); value = Math.floor(value / 128); }
  return [...bytes, value];
}

function encode(fields) { // [[number, a number or a text], …]
  return fields.flatMap(([number, value]) => {
    if (typeof value === "number") return [...varint(number * 8), ...varint(value)];
    const bytes = new TextEncoder().encode(value);
    return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
  });
}

function decode(bytes) { // {number: value}; the last one counts
  const found = {};
  let place = 0;
  const number = () => {
    let value = 0, factor = 1, byte;
    do { byte = bytes[place++]; value += (byte & 127) * factor; factor *= 128; } while (byte & 128);
    return value;
  };
  while (place < bytes.length) {
    const tag = number(), field = Math.floor(tag / 8);
    if (tag % 8 === 0) found[field] = number();
    else if (tag % 8 === 2) { const length = number(); found[field] = bytes.slice(place, place += length); }
    else place += tag % 8 === 5 ? 4 : 8;
  }
  return found;
}

const text = (bytes) => (bytes ? new TextDecoder().decode(bytes) : "");
const plain = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;

function send(type, fields) {
  const body = encode(fields), message = new Uint8Array(6 + body.length);
  new DataView(message.buffer).setUint16(0, type);
  new DataView(message.buffer).setUint32(2, body.length);
  message.set(body, 6);
  socket.send(message);
}

function say(who, what) {
  const line = document.createElement("p"), name = document.createElement("b");
  name.textContent = who + ": ";
  line.append(name, what);
  at("log").append(line);
}

function draw() {
  const branch = (id) => {
    const list = document.createElement("ul");
    for (const person of [...users.values()].filter((one) => one.channel === id)) {
      const item = document.createElement("li");
      item.className = "person";
      item.textContent = person.name;
      list.append(item);
    }
    for (const [child, channel] of channels) {
      if (child === 0 || channel.parent !== id) continue;
      const item = document.createElement("li");
      item.append(channel.name, branch(child));
      list.append(item);
    }
    return list;
  };
  at("channels").replaceChildren(channels.has(0) ? channels.get(0).name : "", branch(0));
}

const heard = {
  [REJECT]: (it) => say("The server", "refused: " + text(it[2])),
  [SYNC]: (it) => {
    own = it[1];
    synced = true;
    at("join").hidden = true;
    at("say").hidden = false;
    say("Welcome", plain(text(it[3])));
  },
  [CHANNEL]: (it) => {
    const known = channels.get(it[1] || 0) || { name: "", parent: 0 };
    channels.set(it[1] || 0, { name: it[3] ? text(it[3]) : known.name, parent: it[2] ?? known.parent });
  },
  [CHANNEL_REMOVE]: (it) => channels.delete(it[1]),
  [USER]: (it) => {
    const known = users.get(it[1]) || { name: "", channel: 0 };
    users.set(it[1], { name: it[3] ? text(it[3]) : known.name, channel: it[5] ?? known.channel });
  },
  [USER_REMOVE]: (it) => users.delete(it[1]),
  [TEXT]: (it) => say((users.get(it[1]) || { name: "The server" }).name, plain(text(it[5]))),
};

function take(data) {
  const joined = new Uint8Array(pending.length + data.length);
  joined.set(pending);
  joined.set(data, pending.length);
  let place = 0;
  const view = new DataView(joined.buffer);
  while (joined.length - place >= 6) {
    const type = view.getUint16(place), length = view.getUint32(place + 2);
    if (joined.length - place - 6 < length) break;
    if (heard[type]) heard[type](decode(joined.slice(place + 6, place + 6 + length)));
    place += 6 + length;
  }
  pending = joined.slice(place);
  if (synced) draw();
}

at("join").addEventListener("submit", (event) => {
  event.preventDefault();
  socket = new WebSocket(`wss://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    send(VERSION, [[1, 0x10400], [2, "Mumble web client"]]);
    send(AUTHENTICATE, [[1, at("name").value], [5, 1]]);
    setInterval(() => socket.readyState === 1 && send(PING, [[1, Date.now()]]), 15000);
  };
  socket.onmessage = (message) => take(new Uint8Array(message.data));
  socket.onclose = () => say("The connection", "has ended");
});

at("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!at("text").value) return;
  send(TEXT, [[4, 0], [5, at("text").value]]);
  say(users.get(own).name, at("text").value);
  at("text").value = "";
});

fetch("/status").then((answer) => answer.json()).then((it) => {
  at("server").textContent = it.release ? `${it.release} · certificate ${it.certificate}` : "the voice server is away";
});
