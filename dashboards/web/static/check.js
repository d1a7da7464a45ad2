// Tests whether a call would work from here: a stream of small messages that the
// reflector sends back, then a download and an upload. It runs once for each press of
// the button, so a page that stays open costs nothing.
"use strict";
(() => {
  const check = document.getElementById("check");
  if (!check) return;
  const at = (id) => document.getElementById(id);
  const given = check.dataset;
  const button = at("start");
  check.hidden = false;

  // 50 messages a second with 160 octets, as a voice call; a call gives up waiting for
  // one after about this long.
  const EVERY_MS = 20, OCTETS = 160, LATE_MS = 200;
  // A page that did nothing for so long was asleep: its messages were not sent in time.
  const ASLEEP_MS = 3000;
  // The close code of a reflector that has no place (RFC 6455, "try again later").
  const BUSY = 1013;
  const MESSAGES = Number(given.messages), MOST = Number(given.octets);

  const say = (text) => {
    at("progress").hidden = false;
    at("progress").textContent = text;
  };
  const sorted = (values) => [...values].sort((a, b) => a - b);
  const p95 = (values) => sorted(values)[Math.ceil(values.length * 0.95) - 1];
  const unusable = () => {
    if (!("WebSocket" in window) || !window.performance || !("replaceChildren" in check))
      return "This browser is too old for this check: it has no WebSocket. Try another.";
    if (location.protocol === "https:" && given.call.startsWith("ws:"))
      return "This check is set up without encryption, which browsers refuse here. Tell IT.";
    return "";
  };
  const open = (address, protocol) => new Promise((done, failed) => {
    let link;
    try {
      link = new WebSocket(address, protocol);
    } catch {
      failed(new Error("closed"));
      return;
    }
    link.binaryType = "arraybuffer";
    const late = setTimeout(() => { link.close(); failed(new Error("closed")); }, 10000);
    link.onopen = () => { clearTimeout(late); done(link); };
    link.onerror = () => { clearTimeout(late); failed(new Error("closed")); };
  });

  const call = async () => {
    const link = await open(given.call, given.callProtocol);
    const sent = [], trips = new Map();
    let lost;
    link.onmessage = (event) => {
      if (typeof event.data === "string") {
        const known = Object.values(JSON.parse(event.data)).filter((share) => share !== null);
        if (known.length) lost = Math.max(...known);
        link.close();
        return;
      }
      const number = new DataView(event.data).getUint32(0);
      if (number < sent.length) trips.set(number, performance.now() - sent[number]);
    };
    await new Promise((done, failed) => {
      let complete = false;
      link.onclose = (event) => {
        clearInterval(timer);
        if (event.code === BUSY) failed(new Error("busy"));
        // What was measured until then would look like a good call.
        if (complete) done();
        else failed(new Error("cut"));
      };
      const began = performance.now();
      let woken = Date.now();
      const timer = setInterval(() => {
        const slept = Date.now() - woken > ASLEEP_MS;
        woken = Date.now();
        if (slept) {
          clearInterval(timer);
          link.close();
          failed(new Error("asleep"));
          return;
        }
        // A timer that was held back sends what it owes, at its own time.
        while (sent.length < MESSAGES && performance.now() >= began + sent.length * EVERY_MS) {
          const message = new ArrayBuffer(OCTETS);
          new DataView(message).setUint32(0, sent.length);
          sent.push(performance.now());
          if (link.readyState === WebSocket.OPEN) link.send(message);
        }
        if (sent.length >= MESSAGES) {
          complete = true;
          clearInterval(timer);
          // Then the reflector says what was lost on the way, and sent again.
          const end = () => { link.close(); setTimeout(done, 3000); };
          const asked = () => { if (link.readyState === WebSocket.OPEN) link.send("end"); setTimeout(end, 2000); };
          setTimeout(asked, 1500);
        }
      }, EVERY_MS / 2);
    });
    if (trips.size < MESSAGES / 10) throw new Error("few");
    const all = sent.map((_, number) => trips.get(number));
    const known = all.filter((trip) => trip !== undefined);
    const least = Math.min(...known);
    const steps = [];
    for (let n = 1; n < all.length; n += 1)
      if (all[n] !== undefined && all[n - 1] !== undefined)
        steps.push(Math.abs(all[n] - all[n - 1]));
    const late = all.filter((trip) => trip === undefined || trip > least + LATE_MS);
    return { rtt: p95(known), jitter: p95(steps), late: late.length / all.length, lost };
  };

  const download = async () => {
    const link = await open(given.download, given.speedProtocol);
    return new Promise((done, failed) => {
      const began = performance.now();
      let octets = 0, last = began;
      const end = () => {
        clearTimeout(timer);
        link.onclose = link.onmessage = null;
        link.close();
        if (octets && last > began) done(8e-3 * octets / (last - began));
        else failed(new Error("closed"));
      };
      const timer = setTimeout(end, given.seconds * 1000);
      link.onclose = end;
      link.onmessage = (event) => {
        if (typeof event.data === "string") return;
        octets += event.data.byteLength;
        last = performance.now();
      };
    });
  };

  const upload = async () => {
    const link = await open(given.upload, given.speedProtocol);
    return new Promise((done, failed) => {
      const piece = new Uint8Array(8192);
      let received = 0, micros = 0, offered = 0;
      const end = () => {
        clearTimeout(timer);
        clearInterval(feed);
        link.onclose = link.onmessage = null;
        link.close();
        // What the reflector received counts, not what this browser has taken in.
        if (received && micros) done(8 * received / micros);
        else failed(new Error("closed"));
      };
      const timer = setTimeout(end, given.seconds * 1000);
      link.onclose = end;
      link.onmessage = (event) => {
        if (typeof event.data !== "string") return;
        const app = JSON.parse(event.data).AppInfo || {};
        if (app.NumBytes && app.ElapsedTime)
          [received, micros] = [app.NumBytes, app.ElapsedTime];
        if (received >= MOST) end();
      };
      const feed = setInterval(() => {
        while (link.readyState === WebSocket.OPEN && link.bufferedAmount < 262144 && offered < MOST) {
          link.send(piece);
          offered += piece.length;
        }
      }, 5);
    });
  };

  // One page has one test at a time, and the one before may not have ended there yet.
  const twice = (test) => test()
    .catch(() => new Promise((done) => setTimeout(done, 2000)).then(test))
    .catch(() => undefined);

  const show = (found) => {
    const limits = (name) => [Number(given[`${name}Good`]), Number(given[`${name}Poor`])];
    const rows = [
      ["rtt", "Time for a word and back", `${Math.round(found.rtt)} ms`, (x) => `at most ${x} ms`,
        "Answers come late: people will talk over each other."],
      ["jitter", "How unevenly it arrives", `${Math.round(found.jitter)} ms`, (x) => `at most ${x} ms`,
        "The voice arrives unevenly: it will break up."],
      ["late", "Arrives too late", `${(100 * found.late).toFixed(1)}%`, (x) => `at most ${+(100 * x).toFixed(2)}%`,
        "Too much of the voice arrives late: words will be missing."],
      ["lost", "Lost on the way", found.lost === undefined ? "not measured" : `${(100 * found.lost).toFixed(1)}%`, (x) => `at most ${+(100 * x).toFixed(2)}%`,
        "Packets are lost on the way: in calls words will be missing."],
    ];
    let worst = 0;
    const reasons = [];
    const figures = rows.map(([name, what, result, least, reason]) => {
      const [good, poor] = limits(name);
      const level = found[name] > poor ? 2 : found[name] > good ? 1 : 0;
      worst = Math.max(worst, level);
      if (level) reasons.push(reason);
      return [what, result, least(good)];
    });
    for (const [name, what] of [["down", "Download"], ["up", "Upload"]]) {
      const speed = found[name];
      const known = speed !== undefined;
      figures.push([what, known ? `${speed < 10 ? speed.toFixed(1) : Math.round(speed)} Mbit/s` : "not measured",
        `at least ${given.video} Mbit/s, with video`]);
      if (known && speed < Number(given.video)) {
        worst = Math.max(worst, 1);
        reasons.push(`${what} is slow: calls without video will do better.`);
      }
    }
    if (found.down === undefined || found.up === undefined)
      reasons.push("The speed was not measured: the council's test server was busy, or the connection to it broke off. The answer is about voice alone.");
    if (found.away) {
      worst = Math.max(worst, 1);
      reasons.push("This page was in the background, where browsers slow it down. Keep it in front and try again.");
    }
    const words = ["Yes, ready for calls", "Perhaps: calls may not be good", "No: calls will be poor"];
    at("verdict").replaceChildren(at("marks").children[worst].cloneNode(true), ` ${words[worst]}`);
    at("verdict").className = `status ${["ok", "warn", "bad"][worst]}`;
    at("reasons").hidden = !reasons.length;
    at("reasons").replaceChildren(...reasons.map((text) => {
      const item = document.createElement("li");
      item.textContent = text;
      return item;
    }));
    at("figures").replaceChildren(...figures.map((cells) => {
      const row = document.createElement("tr");
      row.append(...cells.map((text, n) => {
        const cell = document.createElement(n ? "td" : "th");
        if (!n) cell.scope = "row";
        cell.textContent = text;
        return cell;
      }));
      return row;
    }));
    const form = at("send");
    if (form) {
      const measured = {
        rtt_ms: found.rtt, jitter_ms: found.jitter, late_ratio: found.late, lost_ratio: found.lost,
        down_mbps: found.down, up_mbps: found.up, is_away: found.away ? 1 : 0,
      };
      for (const [name, value] of Object.entries(measured))
        form.elements.namedItem(name).value = value === undefined ? "" : String(value);
    }
    at("result").hidden = false;
    at("verdict").focus();
  };

  const FAILED = {
    closed: "The council's test server could not be reached, or is busy. Check that other pages load. Then reload this page and try again in some minutes. If other pages load and this goes on, the network may block this test: tell IT.",
    busy: "The council's test server is busy with other people's checks, so nothing was measured. Press the button again in a minute.",
    cut: "The connection to the council's test server broke off during the test, so there is no result. A call would have broken off too, unless the test server itself failed. Try again.",
    few: "Hardly anything of the test call came back: a call would not work from here at present. Move nearer to the Wi-Fi, or use a cable, and try again.",
    asleep: "This device or this page was asleep during the test, so there is no result. Keep this page in front and try again.",
  };
  const run = async () => {
    button.disabled = true;
    at("result").hidden = true;
    let away = document.hidden;
    const noticed = () => { away = away || document.hidden; };
    document.addEventListener("visibilitychange", noticed);
    try {
      say("Testing a call. This takes 12 seconds. Keep this page in front.");
      const found = await call();
      // A busy server does not spoil what is known of the call.
      say("Testing the download.");
      found.down = await twice(download);
      say("Testing the upload.");
      found.up = await twice(upload);
      found.away = away;
      say("The check is done.");
      show(found);
    } catch (error) {
      say(FAILED[error.message] || FAILED.closed);
    } finally {
      document.removeEventListener("visibilitychange", noticed);
      button.disabled = false;
      button.textContent = "Check again";
    }
  };

  const why = unusable();
  if (why) {
    button.hidden = true;
    say(why);
  } else button.addEventListener("click", run);
})();
