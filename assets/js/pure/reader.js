// Bytes become chunks: [uint32 kind][uint32 length][payload, padded to 4 bytes], however the network cuts them.

/** @typedef {(kind: number, payload: Uint8Array) => void} Take  The payload is only valid during the call. */

export class Reader {
  #bytes = new Uint8Array(1 << 16);
  #start = 0;  // of what has not been taken yet
  #end = 0;    // of what has arrived
  #take;

  /** @param {Take} take */
  constructor(take) {
    this.#take = take;
  }

  /** @param {Uint8Array} part */
  push(part) {
    if (this.#end + part.length > this.#bytes.length) this.#makeRoom(part.length);
    this.#bytes.set(part, this.#end);
    this.#end += part.length;
    while (this.#end - this.#start >= 8) {
      const [kind, length] = new Uint32Array(this.#bytes.buffer, this.#start, 2);
      const next = this.#start + 8 + Math.ceil(length / 4) * 4;  // always a multiple of 4, so views need no copy
      if (next > this.#end) break;
      this.#take(kind, this.#bytes.subarray(this.#start + 8, this.#start + 8 + length));
      this.#start = next;
    }
  }

  /** What was taken goes; what remains moves to the beginning, of a larger buffer if need be. @param {number} more */
  #makeRoom(more) {
    const rest = this.#bytes.subarray(this.#start, this.#end), size = rest.length + more;
    if (size > this.#bytes.length) this.#bytes = new Uint8Array(2 * size);
    this.#bytes.set(rest);
    [this.#start, this.#end] = [0, rest.length];
  }

  /** Throws TypeError, as a failed fetch does, if a chunk was cut off. */
  end() {
    if (this.#start < this.#end) throw new TypeError("the stream was cut off");
  }
}

/** @param {ReadableStream<Uint8Array>} body @param {Take} take */
export async function read(body, take) {
  const reader = new Reader(take), source = body.getReader();
  for (let part; !(part = await source.read()).done;) reader.push(part.value);
  reader.end();
}

/** A copy of the payload from a byte on. @param {Uint8Array} payload @param {number} [from] */
export const int16 = (payload, from = 0) => new Int16Array(payload.slice(from).buffer);

/** The first numbers of the payload. @param {Uint8Array} payload @param {number} count */
export const int32 = (payload, count) => new Int32Array(payload.buffer, payload.byteOffset, count);
