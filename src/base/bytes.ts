/** Numbers of bytes, for people. */

/** "4.1 MB", "312 MB" or "6.3 GB". */
export function byteSize(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB` : gigabytes(bytes);
}

/** "41.4 MB", for figures that grow beside each other. */
export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** "1.9 GB". */
export function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
