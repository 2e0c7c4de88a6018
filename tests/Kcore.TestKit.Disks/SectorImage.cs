namespace Kcore.TestKit.Disks;

/// <summary>The contents of one file: as written, and as they are on the disk for certain.</summary>
internal sealed class SectorImage
{
    private const int SectorBytes = 512;

    private readonly SortedSet<int> _dirty = [];
    private byte[] _written;
    private byte[] _durable;

    public SectorImage()
        : this([])
    {
    }

    public SectorImage(byte[] durable)
    {
        _written = durable;
        _durable = [.. durable];
    }

    public int Length => _written.Length;

    public ReadOnlySpan<byte> Written => _written;

    public void Write(int offset, ReadOnlySpan<byte> data)
    {
        if (offset + data.Length > _written.Length)
        {
            Array.Resize(ref _written, offset + data.Length);
        }

        data.CopyTo(_written.AsSpan(offset));
        for (int sector = offset / SectorBytes; sector * SectorBytes < offset + data.Length; sector++)
        {
            _dirty.Add(sector);
        }
    }

    public void Sync()
    {
        Array.Resize(ref _durable, _written.Length);
        foreach (int sector in _dirty)
        {
            SectorOf(_written, sector).CopyTo(_durable.AsSpan(sector * SectorBytes));
        }

        _dirty.Clear();
    }

    /// <summary>Changes a bit on the disk itself.</summary>
    public void Flip(int offset, byte mask)
    {
        _written[offset] ^= mask;
        if (offset < _durable.Length)
        {
            _durable[offset] ^= mask;
        }
    }

    public byte[] Survive(Survivors survivors, Random random)
    {
        var image = new byte[survivors == Survivors.None ? _durable.Length : _written.Length];
        _durable.AsSpan(0, Math.Min(image.Length, _durable.Length)).CopyTo(image);
        foreach (int sector in _dirty)
        {
            bool survives = survivors switch
            {
                Survivors.All => true,
                Survivors.First => sector == _dirty.Min,
                Survivors.Last => sector == _dirty.Max,
                Survivors.Random => random.Next(2) == 0,
                _ => false,
            };
            if (survives)
            {
                SectorOf(_written, sector).CopyTo(image.AsSpan(sector * SectorBytes));
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
