namespace Kcore.Daemon.Tests.Ipam;

/// <summary>
/// What the allocator promises, in lists and dictionaries: the addresses in the order in which they are granted, each taken
/// out for good, or put into a second list that is used when the first is empty. Its answers are an address, or a word.
/// </summary>
internal sealed class NaiveAllocator
{
    private const ulong TenMinutes = 600_000;

    /// <summary>The node that asks for everything, unless it is said otherwise.</summary>
    private const uint Asking = 9;

    private readonly Dictionary<uint, Pool> _pools = [];
    private readonly Dictionary<uint, (uint Pool, uint Address)> _held = [];
    private readonly HashSet<uint> _orphans = [];

    // Where a NIC is, if it is not on the node everybody asks from.
    private readonly Dictionary<uint, uint> _elsewhere = [];
    private readonly Dictionary<uint, Move> _moves = [];
    private readonly Dictionary<uint, bool> _endedMoves = [];
    private readonly Dictionary<uint, uint> _released = [];
    private readonly HashSet<uint> _deleted = [];
    private ulong _clock;

    public long? Free(uint pool) => _pools.TryGetValue(pool, out Pool? p) ? p.Free.Count + p.Back.Count(b => b.IsRested) : null;

    public uint? Next(uint pool) => _pools.TryGetValue(pool, out Pool? p) ? p.Next : null;

    public int Resting(uint pool) => _pools.TryGetValue(pool, out Pool? p) ? p.Back.Count(b => !b.IsRested) : 0;

    public int Parked(uint pool) => _pools.TryGetValue(pool, out Pool? p) ? p.Parked.Count : 0;

    public int Used(uint pool) => _held.Values.Count(h => h.Pool == pool);

    public string Create(uint pool, uint network, uint size, uint gateway, uint[] excluded, bool reuses, int reserve = 0)
    {
        string said = string.Join(',', excluded);
        if (_pools.TryGetValue(pool, out Pool? known))
        {
            return (known.Gateway, known.Excluded) == (gateway, said) ? "Done" : "AlreadyExists";
        }

        IEnumerable<uint> order = Enumerable.Range(2, (int)size - 3).Append(1).Select(offset => network + (uint)offset);
        uint[] all = [.. order.Where(a => a != gateway && !excluded.Contains(a))];
        if (_deleted.Contains(pool))
        {
            return "FailedPrecondition";
        }

        if (reserve * 2 > all.Length)
        {
            return "InvalidArgument";
        }

        if (_pools.Count > 0)
        {
            // All pools of a test have one name.
            return "AlreadyExists";
        }

        _pools[pool] = new Pool(gateway, said, reuses, reserve, [.. all], all);
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
            bool isSame = held.Pool == pool && (wanted ?? held.Address) == held.Address && NodeOf(attachment) == Asking;
            _orphans.RemoveWhere(o => isSame && o == attachment);
            return isSame ? $"{held.Address}" : "FailedPrecondition";
        }

        if (_released.ContainsKey(attachment))
        {
            return "FailedPrecondition";
        }

        if (!_pools.TryGetValue(pool, out Pool? p))
        {
            return "NotFound";
        }

        if (wanted is { } wish && !p.Free.Contains(wish) && !(p.Free.Count == 0 && p.Back.Any(b => b.Address == wish && b.IsRested)))
        {
            return wish <= network || wish >= network + size - 1 ? "InvalidArgument"
                : wish == p.Gateway || p.Excluded.Split(',').Contains($"{wish}") ? "FailedPrecondition"
                : "AlreadyExists";
        }

        if (p.Next is not { } next)
        {
            return "ResourceExhausted";
        }

        uint address = wanted ?? next;
        if (p.Free.Count == 0 && address == next)
        {
            p.Last = Array.IndexOf(p.Order, next);
        }

        p.Free.Remove(address);
        p.Back.RemoveAll(b => b.Address == address);
        _held[attachment] = (pool, address);
        return $"{address}";
    }

    /// <summary>From the top of what was never given, else of what has rested; half of the pool stays for the others.</summary>
    public string Park(uint pool)
    {
        if (!_pools.TryGetValue(pool, out Pool? p))
        {
            return "NotFound";
        }

        while (p.Parked.Count < p.Reserve && p.Parked.Count + 1 <= p.Order.Length / 2)
        {
            bool isNew = p.Free.Count > 0;
            uint[] rested = [.. p.Back.Where(b => b.IsRested).Select(b => b.Address)];
            if (!isNew && rested.Length == 0)
            {
                break;
            }

            uint address = isNew ? p.Free.Max() : rested.Max();
            if (!isNew && address == p.Next)
            {
                p.Last = Array.IndexOf(p.Order, address);
            }

            p.Free.Remove(address);
            p.Back.RemoveAll(b => b.Address == address);
            p.Parked[address] = isNew;
        }

        return "Parked " + string.Join(' ', p.Parked.Keys.OrderDescending());
    }

    public string Use(uint attachment, uint pool, uint address)
    {
        if (_held.TryGetValue(attachment, out var held))
        {
            bool isSame = held == (pool, address) && NodeOf(attachment) == Asking;
            _orphans.RemoveWhere(o => isSame && o == attachment);
            return isSame ? $"{address}" : "FailedPrecondition";
        }

        if (_released.ContainsKey(attachment))
        {
            return "FailedPrecondition";
        }

        if (!_pools.TryGetValue(pool, out Pool? p))
        {
            return "NotFound";
        }

        if (!p.Parked.Remove(address))
        {
            return "FailedPrecondition";
        }

        _held[attachment] = (pool, address);
        return $"{address}";
    }

    public string Return(uint pool, uint address, bool wasUsed)
    {
        if (_pools.TryGetValue(pool, out Pool? p) && p.Parked.Remove(address, out bool isNew))
        {
            if (!wasUsed && isNew)
            {
                p.Free.Add(address);
                p.Free.Sort((a, b) => Array.IndexOf(p.Order, a) - Array.IndexOf(p.Order, b));
            }
            else if (!wasUsed || p.Reuses)
            {
                p.Back.Add(new Returned(address));
            }
        }

        return "Done";
    }

    /// <summary>The node has lost its record: what is parked is nobody's, and the pool asked for is filled anew.</summary>
    public string Lose(uint pool)
    {
        if (!_pools.ContainsKey(pool))
        {
            return "NotFound";
        }

        foreach (Pool p in _pools.Values)
        {
            p.Parked.Clear();
        }

        return Park(pool);
    }

    public string Release(uint attachment, uint pool, uint node = Asking)
    {
        if (_held.ContainsKey(attachment) && NodeOf(attachment) != node)
        {
            return "FailedPrecondition";
        }

        _orphans.Remove(attachment);
        _elsewhere.Remove(attachment);
        foreach (uint pending in _moves.Where(m => _held.ContainsKey(attachment) && m.Value is { IsOver: false } move && move.Attachment == attachment).Select(m => m.Key).ToArray())
        {
            _moves.Remove(pending);
            _endedMoves[pending] = false;
        }

        if (_held.Remove(attachment, out var held))
        {
            _released[attachment] = held.Pool;
            if (_pools[held.Pool].Reuses)
            {
                _pools[held.Pool].Back.Add(new Returned(held.Address));
            }
        }
        else if (!_deleted.Contains(pool))
        {
            _released.TryAdd(attachment, pool);
        }

        return "Done";
    }

    public string Mark(uint attachment, bool isOrphan)
    {
        if (!_held.ContainsKey(attachment) || NodeOf(attachment) != Asking)
        {
            return "NotFound";
        }

        _ = isOrphan ? _orphans.Add(attachment) : _orphans.Remove(attachment);
        return "Done";
    }

    public string ReleaseOrphan(uint attachment) =>
        _orphans.Contains(attachment) ? Release(attachment, _held[attachment].Pool, NodeOf(attachment))
        : _held.ContainsKey(attachment) ? "FailedPrecondition"
        : _released.ContainsKey(attachment) ? "Done"
        : "NotFound";

    /// <summary>The address of an attachment, if it holds one.</summary>
    public uint? AddressOf(uint attachment) => _held.TryGetValue(attachment, out var held) ? held.Address : null;

    public uint NodeOf(uint attachment) => _elsewhere.GetValueOrDefault(attachment, Asking);

    public string Begin(uint move, uint attachment, uint pool, uint from, uint to, uint address)
    {
        var begun = new Move(attachment, pool, from, to, address);
        if (_moves.TryGetValue(move, out Move? known))
        {
            return known with { IsOver = false, Knowing = 0 } == begun ? "Done" : "AlreadyExists";
        }

        bool isPossible = !_endedMoves.ContainsKey(move) && _moves.Values.All(m => m.IsOver || m.Attachment != attachment);
        if (isPossible && !_held.ContainsKey(attachment))
        {
            return "NotFound";
        }

        if (!isPossible || NodeOf(attachment) != from || _orphans.Contains(attachment) || _held[attachment] != (pool, address))
        {
            return "FailedPrecondition";
        }

        _moves[move] = begun;
        return "Done";
    }

    public string HandOver(uint move)
    {
        if (!_moves.TryGetValue(move, out Move? begun))
        {
            return !_endedMoves.TryGetValue(move, out bool isDone) ? "NotFound" : isDone ? "Done" : "FailedPrecondition";
        }

        if (!begun.IsOver)
        {
            _moves[move] = begun with { IsOver = true };
            _elsewhere[begun.Attachment] = begun.To;
            _orphans.Remove(begun.Attachment);
        }

        return "Done";
    }

    public string Abort(uint move)
    {
        if (_moves.TryGetValue(move, out Move? begun) ? begun.IsOver : _endedMoves.GetValueOrDefault(move))
        {
            return "FailedPrecondition";
        }

        _moves.Remove(move);
        _endedMoves[move] = false;
        return "Done";
    }

    public string Acknowledge(uint move, uint node)
    {
        if (!_moves.TryGetValue(move, out Move? begun))
        {
            return "Done";
        }

        if (!begun.IsOver)
        {
            return "FailedPrecondition";
        }

        int knowing = begun.Knowing | (node == begun.From ? 1 : 0) | (node == begun.To ? 2 : 0);
        _moves[move] = begun with { Knowing = knowing };
        if (knowing == 3)
        {
            _moves.Remove(move);
            _endedMoves[move] = true;
        }

        return "Done";
    }

    public string Reclaim(uint pool)
    {
        if (!_pools.TryGetValue(pool, out Pool? p))
        {
            return "NotFound";
        }

        p.Back.AddRange(p.Order
            .Where(a => !p.Free.Contains(a) && !p.Parked.ContainsKey(a) && p.Back.TrueForAll(b => b.Address != a) && !_held.Values.Contains((pool, a)))
            .Select(a => new Returned(a)));
        return "Done";
    }

    public string Advance(ulong minutes)
    {
        _clock += minutes * 60_000;
        foreach (Returned back in _pools.Values.SelectMany(p => p.Back))
        {
            back.IsRested |= _clock - back.Since >= TenMinutes;
            back.Since ??= _clock;
        }

        return "Done";
    }

    private sealed record Pool(uint Gateway, string Excluded, bool Reuses, int Reserve, List<uint> Free, uint[] Order)
    {
        /// <summary>With whether it was never given out before.</summary>
        public Dictionary<uint, bool> Parked { get; } = [];

        public List<Returned> Back { get; } = [];

        public int Last { get; set; } = -1;

        // Around the circle from the one that was given again last.
        public uint? Next => Free.Count > 0 ? Free[0]
            : Order[(Last + 1)..].Concat(Order[..(Last + 1)]).Where(a => Back.Exists(b => b.Address == a && b.IsRested)).Select(a => (uint?)a).FirstOrDefault();
    }

    private sealed record Move(uint Attachment, uint Pool, uint From, uint To, uint Address)
    {
        public bool IsOver { get; init; }

        public int Knowing { get; init; }
    }

    private sealed record Returned(uint Address)
    {
        public ulong? Since { get; set; }

        public bool IsRested { get; set; }
    }
}
