// Files as a person gives them: a folder or files, dropped or chosen. The name of a single outer folder is left away, as are hidden files.

export type Picked = { path: string; file: File };

export function chosen(files: Iterable<File>): Picked[] {
  return visible(Array.from(files, (file) => ({ path: inner(file.webkitRelativePath) || file.name, file })));
}

/** Has to be called within the event: the list of items is empty after it. */
export async function dropped(items: DataTransferItemList): Promise<Picked[]> {
  const entries = Array.from(items, (item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const [only] = entries;
  const isFolder = entries.length === 1 && only?.isDirectory;
  const found = await Promise.all(entries.map((entry) => within(entry, "")));
  return visible(found.flat().map(({ path, file }) => ({ path: isFolder ? inner(path) : path, file })));
}

async function within(entry: FileSystemEntry, folder: string): Promise<Picked[]> {
  const path = folder + entry.name;
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{ path, file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Picked[] = [];
  // A reader gives a hundred entries at a time, and none at the end.
  for (let batch = await read(reader); batch.length > 0; batch = await read(reader)) {
    for (const child of batch) found.push(...(await within(child, `${path}/`)));
  }
  return found;
}

function read(reader: FileSystemDirectoryReader): Promise<FileSystemEntry[]> {
  return new Promise((resolve, reject) => reader.readEntries(resolve, reject));
}

function inner(path: string): string {
  return path.slice(path.indexOf("/") + 1);
}

function visible(picked: Picked[]): Picked[] {
  return picked.filter(({ path }) => !path.split("/").some((part) => part.startsWith(".")));
}
