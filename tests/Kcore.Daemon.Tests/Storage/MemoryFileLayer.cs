using Kcore.Daemon.Storage.RaftLog;

namespace Kcore.Daemon.Tests.Storage;

/// <summary>Which sectors that were written and not synced a power cut leaves on the disk.</summary>
public enum Survivors
{
    None,
    All,
    First,
    Last,
    Random,
}

/// <summary>The machine lost power.</summary>
public sealed class PowerCutException : Exception;

/// <summary>
/// A directory with two images: what was written and what is durable. It counts its operations, can lose power before or
/// after any of them, and can fail syncs.
/// </summary>
public sealed class MemoryFileLayer : IFileLayer
{
    private const int SectorBytes = 512;

    private readonly Dictionary<string, Content> _names = [];
    private readonly Dictionary<string, Content> _durableNames = [];
    private readonly Lock _lock = new();

    /// <summary>Operations that change something, done so far.</summary>
    public int Operations { get; private set; }

    /// <summary>The operation (from 1) at which power is lost; 0 for never.</summary>
    public int PowerCutAt { get; set; }

    /// <summary>True to lose power after that operation took place, false before.</summary>
    public bool IsCutAfter { get; set; }

    /// <summary>Makes every further sync fail with EIO.</summary>
    public bool FailSyncs { get; set; }

    /// <summary>Syncs of files so far.</summary>
    public int Syncs { get; private set; }

    public IReadOnlyList<string> List()
    {
        lock (_lock)
        {
            return [.. _names.Keys.Order(StringComparer.Ordinal)];
        }
    }

    public IStoreFile Create(string name)
    {
        Operate(() => _names[name] = new Content());
        return new MemoryFile(this, _names[name]);
    }

    public IStoreFile Open(string name) =>
        _names.TryGetValue(name, out Content? content) ? new MemoryFile(this, content) : throw new FileNotFoundException(name);

    public void Rename(string from, string to) => Operate(() =>
    {
        _names[to] = _names[from];
        _names.Remove(from);
    });

    public void Delete(string name) => Operate(() => _names.Remove(name));

    public void SyncDirectory() => Operate(() =>
    {
        FailIfTold();
        _durableNames.Clear();
        foreach ((string name, Content content) in _names)
        {
            _durableNames[name] = content;
        }
    });

    /// <summary>The directory as the next boot finds it.</summary>
    public MemoryFileLayer AfterPowerCut(Survivors survivors, Random random)
    {
        var after = new MemoryFileLayer();
        bool keepsNames = survivors == Survivors.All || (survivors == Survivors.Random && random.Next(2) == 0);
        foreach ((string name, Content content) in keepsNames ? _names : _durableNames)
        {
            byte[] image = content.Survive(survivors, random);
            var survived = new Content { Written = image, Durable = [.. image] };
            after._names[name] = survived;
            after._durableNames[name] = survived;
        }

        return after;
    }

    /// <summary>Flips one bit of what is durable.</summary>
    public void FlipBit(string name, int offset) => _names[name].Written[offset] ^= 0x10;

    public byte[] Read(string name) => [.. _names[name].Written];

    private void FailIfTold()
    {
        if (FailSyncs)
        {
            throw new IOException("Input/output error");
        }
    }

    private void Operate(Action operation)
    {
        lock (_lock)
        {
            Operations++;
            if (PowerCutAt != 0 && (Operations > PowerCutAt || (Operations == PowerCutAt && !IsCutAfter)))
            {
                throw new PowerCutException();
            }

            operation();
            if (Operations == PowerCutAt)
            {
                throw new PowerCutException();
            }
        }
    }

    private sealed class Content
    {
        public byte[] Written { get; set; } = [];

        public byte[] Durable { get; set; } = [];

        public byte[] Survive(Survivors survivors, Random random)
        {
            int sectors = (Written.Length + SectorBytes - 1) / SectorBytes;
            int[] dirty = [.. Enumerable.Range(0, sectors).Where(i => !SectorOf(Written, i).SequenceEqual(SectorOf(Durable, i)))];
            var image = new byte[survivors == Survivors.None ? Durable.Length : Written.Length];
            Durable.AsSpan(0, Math.Min(image.Length, Durable.Length)).CopyTo(image);
            foreach (int sector in dirty)
            {
                bool survives = survivors switch
                {
                    Survivors.All => true,
                    Survivors.First => sector == dirty[0],
                    Survivors.Last => sector == dirty[^1],
                    Survivors.Random => random.Next(2) == 0,
                    _ => false,
                };
                if (survives)
                {
                    SectorOf(Written, sector).CopyTo(image.AsSpan(sector * SectorBytes));
                }
            }

            return image;
        }

        private static Span<byte> SectorOf(byte[] bytes, int sector)
        {
            int start = Math.Min(sector * SectorBytes, bytes.Length);
            return bytes.AsSpan(start, Math.Min(SectorBytes, bytes.Length - start));
        }
    }

    private sealed class MemoryFile(MemoryFileLayer layer, Content content) : IStoreFile
    {
        public long Length => content.Written.Length;

        public int Read(long offset, Span<byte> target)
        {
            int length = (int)Math.Clamp(content.Written.Length - offset, 0, target.Length);
            content.Written.AsSpan((int)offset, length).CopyTo(target);
            return length;
        }

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            byte[] copy = data.ToArray();
            layer.Operate(() =>
            {
                byte[] written = content.Written;
                if (offset + copy.Length > written.Length)
                {
                    Array.Resize(ref written, (int)offset + copy.Length);
                    content.Written = written;
                }

                copy.CopyTo(written, offset);
            });
        }

        public void Preallocate(long length)
        {
            if (length > Length)
            {
                Write(Length, new byte[length - Length]);
            }
        }

        public void Sync() => layer.Operate(() =>
        {
            layer.FailIfTold();
            layer.Syncs++;
            content.Durable = [.. content.Written];
        });

        public void Dispose()
        {
        }
    }
}
