namespace Kcore.Daemon.Tests.Ipam;

/// <summary>
/// What the allocator promises, in a list and two dictionaries: the addresses in the order in which they are granted, each
/// taken out for good. Its answers are an address, or a word.
/// </summary>
internal sealed class NaiveAllocator
{
    private readonly Dictionary<uint, (uint Gateway, string Excluded, List<uint> Free)> _pools = [];
    private readonly Dictionary<uint, (uint Pool, uint Address)> _held = [];
    private readonly Dictionary<uint, uint> _released = [];
    private readonly HashSet<uint> _deleted = [];

    public long? Free(uint pool) => _pools.TryGetValue(pool, out var p) ? p.Free.Count : null;

    public uint? Next(uint pool) => _pools.TryGetValue(pool, out var p) && p.Free.Count > 0 ? p.Free[0] : null;

    public int Used(uint pool) => _held.Values.Count(h => h.Pool == pool);

    public string Create(uint pool, uint network, uint size, uint gateway, uint[] excluded)
    {
        string said = string.Join(',', excluded);
        if (_pools.TryGetValue(pool, out var known))
        {
            return (known.Gateway, known.Excluded) == (gateway, said) ? "Done" : "AlreadyExists";
        }

        if (_deleted.Contains(pool) || _pools.Count > 0)
        {
            // All pools of a test have one name.
            return _deleted.Contains(pool) ? "FailedPrecondition" : "AlreadyExists";
        }

        IEnumerable<uint> order = Enumerable.Range(2, (int)size - 3).Append(1).Select(offset => network + (uint)offset);
        _pools[pool] = (gateway, said, [.. order.Where(a => a != gateway && !excluded.Contains(a))]);
        return "Done";
    }

    public string Delete(uint pool)
    {
        if (_pools.ContainsKey(pool) && Used(pool) > 0)
        {
            return "FailedPrecondition";
        }

        _pools.Remove(pool);
        _deleted.Add(pool);
        foreach (uint gone in _released.Where(r => r.Value == pool).Select(r => r.Key).ToArray())
        {
            _released.Remove(gone);
        }

        return "Done";
    }

    public string Allocate(uint attachment, uint pool, uint? wanted, uint network, uint size)
    {
        if (_held.TryGetValue(attachment, out var held))
        {
            return held.Pool == pool && (wanted ?? held.Address) == held.Address ? $"{held.Address}" : "FailedPrecondition";
        }

        if (_released.ContainsKey(attachment))
        {
            return "FailedPrecondition";
        }

        if (!_pools.TryGetValue(pool, out var p))
        {
            return "NotFound";
        }

        if (wanted is { } wish && !p.Free.Contains(wish))
        {
            return wish <= network || wish >= network + size - 1 ? "InvalidArgument"
                : wish == p.Gateway || p.Excluded.Split(',').Contains($"{wish}") ? "FailedPrecondition"
                : "AlreadyExists";
        }

        if (p.Free.Count == 0)
        {
            return "ResourceExhausted";
        }

        uint address = wanted ?? p.Free[0];
        p.Free.Remove(address);
        _held[attachment] = (pool, address);
        return $"{address}";
    }

    public string Release(uint attachment)
    {
        if (_held.Remove(attachment, out var held))
        {
            _released[attachment] = held.Pool;
            return "Done";
        }

        return _released.ContainsKey(attachment) ? "Done" : "NotFound";
    }
}
