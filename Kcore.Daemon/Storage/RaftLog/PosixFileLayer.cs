using Microsoft.Win32.SafeHandles;

namespace Kcore.Daemon.Storage.RaftLog;

/// <summary>A real directory, made (mode 0700) if absent.</summary>
public sealed class PosixFileLayer : IFileLayer
{
    // errno.h: ENOSPC and EDQUOT, which .NET hands through as the exception's code.
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;
    private const string LockName = "lock";

    private readonly string _directory;

    public PosixFileLayer(string directory)
    {
        _directory = directory;
        Directory.CreateDirectory(directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public IReadOnlyList<string> List() =>
    [
        .. Directory.EnumerateFiles(_directory)
            .Select(path => Path.GetFileName(path))
            .Where(name => name != LockName)
            .Order(StringComparer.Ordinal),
    ];

    public IStoreFile Create(string name) =>
        Refusable(() => new PosixStoreFile(Path.Combine(_directory, name), FileMode.Create));

    public IStoreFile Open(string name) => new PosixStoreFile(Path.Combine(_directory, name), FileMode.Open);

    public void Rename(string from, string to) => Refusable(() =>
    {
        File.Move(Path.Combine(_directory, from), Path.Combine(_directory, to), overwrite: true);
        return true;
    });

    public void Delete(string name) => File.Delete(Path.Combine(_directory, name));

    public void SyncDirectory() => DirectorySync.Flush(_directory);

    public IDisposable Lock()
    {
        try
        {
            // The kernel drops the lock (flock(2)) with the process, however that ends.
            return new FileStream(Path.Combine(_directory, LockName), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException held)
        {
            throw new StoreBusyException($"The Raft store in {_directory} can't be locked; another process uses it: {held.Message}");
        }
    }

    private static T Refusable<T>(Func<T> operation)
    {
        try
        {
            return operation();
        }
        catch (IOException refused) when ((refused.HResult & 0xFFFF) is NoSpace or QuotaExceeded)
        {
            throw new DiskFullException(refused.Message);
        }
    }

    private sealed class PosixStoreFile(string path, FileMode mode) : IStoreFile
    {
        private static readonly byte[] Zeros = new byte[64 * 1024];

        private readonly SafeFileHandle _handle =
            File.OpenHandle(path, mode, FileAccess.ReadWrite, FileShare.Read);

        public long Length => RandomAccess.GetLength(_handle);

        public int Read(long offset, Span<byte> target)
        {
            int total = 0;
            while (total < target.Length)
            {
                int read = RandomAccess.Read(_handle, target[total..], offset + total);
                if (read == 0)
                {
                    break;
                }

                total += read;
            }

            return total;
        }

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            try
            {
                RandomAccess.Write(_handle, data, offset);
            }
            catch (IOException refused) when ((refused.HResult & 0xFFFF) is NoSpace or QuotaExceeded)
            {
                throw new DiskFullException(refused.Message);
            }
        }

        // Zeros are written, not only reserved: the first write into a merely reserved extent changes metadata, which
        // makes every later sync almost twice as slow.
        public void Preallocate(long length)
        {
            for (long offset = Length; offset < length; offset += Zeros.Length)
            {
                Write(offset, Zeros.AsSpan(0, (int)Math.Min(Zeros.Length, length - offset)));
            }
        }

        public void Sync() => Refusable(() =>
        {
            RandomAccess.FlushToDisk(_handle);
            return true;
        });

        public void SyncData() => Refusable(() =>
        {
            FileSync.FlushData(_handle);
            return true;
        });

        public void Dispose() => _handle.Dispose();
    }
}
