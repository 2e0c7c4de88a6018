using Kcore.Daemon.Storage.RaftLog;

namespace Kcore.TestKit.Disks;

/// <summary>
/// A directory with two images of every file and of the names: what was written and what is durable. It counts its
/// operations, can lose power before or after any of them, fail, fill up, and be damaged.
/// </summary>
public sealed class MemoryFileLayer : IFileLayer
{
    private readonly Dictionary<string, SectorImage> _names = [];
    private readonly Dictionary<string, SectorImage> _durableNames = [];

    // What was done to names since they were last synced; each of these is atomic and survives alone or not.
    private readonly List<NameChange> _nameChanges = [];
    private readonly Lock _lock = new();
    private bool _isLocked;

    /// <summary>Operations that change something, done so far.</summary>
    public int Operations { get; private set; }

    /// <summary>The operation (from 1) at which power is lost; 0 for never.</summary>
    public int PowerCutAt { get; set; }

    /// <summary>True to lose power after that operation took place, false before.</summary>
    public bool IsCutAfter { get; set; }

    /// <summary>Makes every further sync fail with EIO.</summary>
    public bool FailSyncs { get; set; }

    /// <summary>Makes syncs lie: they succeed and nothing becomes durable.</summary>
    public bool IgnoreSyncs { get; set; }

    /// <summary>Makes every further write fail with EIO after half of it.</summary>
    public bool FailWrites { get; set; }

    /// <summary>Makes every further read fail with EIO.</summary>
    public bool FailReads { get; set; }

    /// <summary>Bytes that fit on the disk.</summary>
    public long CapacityBytes { get; set; } = long.MaxValue;

    /// <summary>True once a bit was flipped.</summary>
    public bool IsDamaged { get; private set; }

    /// <summary>Syncs of files so far, of either kind.</summary>
    public int Syncs { get; private set; }

    /// <summary>Those of <see cref="Syncs"/> that also waited for metadata.</summary>
    public int FullSyncs { get; private set; }

    public long UsedBytes => _names.Values.Sum(image => (long)image.Length);

    public IReadOnlyList<string> List()
    {
        lock (_lock)
        {
            return [.. _names.Keys.Order(StringComparer.Ordinal)];
        }
    }

    public IStoreFile Create(string name)
    {
        var image = new SectorImage();
        Operate(() => Change(new NameChange(name, image, null)));
        return new MemoryFile(this, image);
    }

    public IStoreFile Open(string name) =>
        _names.TryGetValue(name, out SectorImage? image) ? new MemoryFile(this, image) : throw new FileNotFoundException(name);

    public void Rename(string from, string to) => Operate(() => Change(new NameChange(to, _names[from], from)));

    public void Delete(string name) => Operate(() => Change(new NameChange(name, null, null)));

    public void SyncDirectory() => Operate(() =>
    {
        FailIf(FailSyncs);
        foreach (NameChange change in _nameChanges)
        {
            change.ApplyTo(_durableNames);
        }

        _nameChanges.Clear();
    });

    public IDisposable Lock()
    {
        if (_isLocked)
        {
            throw new StoreBusyException("The directory is locked.");
        }

        _isLocked = true;
        return new Held(this);
    }

    /// <summary>The directory as the next boot finds it.</summary>
    public MemoryFileLayer AfterPowerCut(Survivors survivors, Random random)
    {
        var names = new Dictionary<string, SectorImage>(_durableNames);
        for (int i = 0; i < _nameChanges.Count; i++)
        {
            bool survives = survivors switch
            {
                Survivors.All => true,
                Survivors.First => i == 0,
                Survivors.Last => i == _nameChanges.Count - 1,
                Survivors.Random => random.Next(2) == 0,
                _ => false,
            };
            if (survives)
            {
                _nameChanges[i].ApplyTo(names);
            }
        }

        var after = new MemoryFileLayer { CapacityBytes = CapacityBytes, IsDamaged = IsDamaged, IgnoreSyncs = IgnoreSyncs };
        foreach ((string name, SectorImage image) in names.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            var survived = new SectorImage(image.Survive(survivors, random));
            after._names[name] = survived;
            after._durableNames[name] = survived;
        }

        return after;
    }

    /// <summary>The directory as a process finds it that starts after the one before was killed: nothing is lost.</summary>
    public MemoryFileLayer AfterKill() => AfterPowerCut(Survivors.All, new Random(0));

    /// <summary>Flips one bit of what is durable; doing it twice changes nothing.</summary>
    public void FlipBit(string name, int offset)
    {
        IsDamaged = true;
        _names[name].Flip(offset, 0x10);
    }

    public byte[] Read(string name) => _names[name].Written.ToArray();

    private static void FailIf(bool told)
    {
        if (told)
        {
            throw new IOException("Input/output error");
        }
    }

    private void Change(NameChange change)
    {
        change.ApplyTo(_names);
        _nameChanges.Add(change);
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

    /// <summary>A name gets a content (taken from another name, if any) or loses what it had.</summary>
    private sealed record NameChange(string Name, SectorImage? Image, string? From)
    {
        public void ApplyTo(Dictionary<string, SectorImage> names)
        {
            if (From is not null)
            {
                names.Remove(From);
            }

            if (Image is null)
            {
                names.Remove(Name);
            }
            else
            {
                names[Name] = Image;
            }
        }
    }

    private sealed class Held(MemoryFileLayer layer) : IDisposable
    {
        public void Dispose() => layer._isLocked = false;
    }

    private sealed class MemoryFile(MemoryFileLayer layer, SectorImage image) : IStoreFile
    {
        public long Length => image.Length;

        public int Read(long offset, Span<byte> target)
        {
            FailIf(layer.FailReads);
            int length = (int)Math.Clamp(image.Length - offset, 0, target.Length);
            image.Written.Slice((int)offset, length).CopyTo(target);
            return length;
        }

        public void Write(long offset, ReadOnlySpan<byte> data)
        {
            byte[] copy = data.ToArray();
            layer.Operate(() =>
            {
                long grown = Math.Max(0, offset + copy.Length - image.Length);
                if (grown > 0 && layer.UsedBytes + grown > layer.CapacityBytes)
                {
                    throw new DiskFullException("No space left on device");
                }

                // The kernel gives up between blocks, never within a sector.
                image.Write((int)offset, layer.FailWrites ? copy.AsSpan(0, copy.Length / 2 / 512 * 512) : copy);
                FailIf(layer.FailWrites);
            });
        }

        public void Preallocate(long length)
        {
            if (length > Length)
            {
                Write(Length, new byte[length - Length]);
            }
        }

        public void Sync()
        {
            layer.FullSyncs++;
            SyncData();
        }

        public void SyncData() => layer.Operate(() =>
        {
            FailIf(layer.FailSyncs);
            layer.Syncs++;
            if (!layer.IgnoreSyncs)
            {
                image.Sync();
            }
        });

        public void Dispose()
        {
        }
    }
}
