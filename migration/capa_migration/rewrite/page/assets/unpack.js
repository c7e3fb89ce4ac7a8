"use strict";
// Data packed by `packing.py`: JSON, compressed with zlib, in base64.

async function unpacked(id) {
  const text = document.getElementById(id).textContent;
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).text();
}

async function unpackedReport() {
  return JSON.parse(await unpacked("report-data"));
}

async function unpackedChanges() {
  const lines = (await unpacked("changes-data")).split("\n");
  return lines.filter(Boolean).map((line) => JSON.parse(line));
}
