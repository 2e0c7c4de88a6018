using Kcore.Daemon.Storage.RaftLog;

namespace Kcore.Fuzz.Targets;

/// <summary>A directory whose contents the fuzzer puts there.</summary>
internal sealed class MemoryFiles : IFileLayer
{
    private readonly SortedDictionary<string, byte[]> _files = new(StringComparer.Ordinal);

    public byte[] this[string name]
    {
        get => _files[name];
        set => _files[name] = value;
    }

    public IReadOnlyList<string> List() => [.. _files.Keys];

    public IStoreFile Create(string name)
    {
        _files[name] = [];
        return new OpenFile(this, name);
    }

    public IStoreFile Open(string name) => _files.ContainsKey(name) ? new OpenFile(this, name) : throw new FileNotFoundException(name);

    public void Rename(string from, string to)
    {
        _files[to] = _files[from];
        _files.Remove(from);
    }

    public void Delete(string name) => _files.Remove(name);

    public void SyncDirectory()
    {
    }

    // Each directory has one user here.
    public IDisposable Lock() => new MemoryStream();

    private sealed class OpenFile(MemoryFiles files, string name) : IStoreFile
    {
        public long Length => files[name].Length;

        public int Read(long offset, Span<byte> target)
        {
            ReadOnlySpan<byte> rest = files[name].AsSpan((int)Math.Min(offset, Length));
            int count = Math.Min(rest.Length, target.Length);
            rest[..count].CopyTo(target);
            return count;
        }

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            Preallocate(offset + data.Length);
            data.CopyTo(files[name].AsSpan((int)offset));
        }

        public void Preallocate(long length)
        {
            if (length > Length)
            {
                byte[] longer = new byte[length];
                files[name].CopyTo(longer, 0);
                files[name] = longer;
            }
        }

        public void Sync()
        {
        }

        public void SyncData()
        {
        }

        public void Dispose()
        {
        }
    }
}
