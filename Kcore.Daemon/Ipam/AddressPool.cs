using System.Net;
using Kcore.Daemon.Catalog.Facts;

namespace Kcore.Daemon.Ipam;

/// <summary>
/// The addresses of one overlay. The cursor only moves forward, and what was granted ahead of it on request is remembered
/// until the cursor has passed: so an address is granted once in the life of the pool, unless the pool was made, or told,
/// to give returned ones again. Those come after all that were never granted.
/// </summary>
internal sealed class AddressPool
{
    private readonly AddressSequence _sequence;

    // The gateway and the exclusions as ordinals.
    private readonly SortedSet<long> _reserved = [];

    // Ordinals at or after the cursor that were granted on request.
    private readonly SortedSet<long> _grantedAhead = [];

    // Ordinals in the reserve of a node. What was never granted before is at or after the cursor, which waits for it: so an
    // address that comes back unused is as if it had never gone.
    private readonly SortedDictionary<long, Parking> _parked = [];

    private readonly SortedDictionary<ulong, AttachmentId> _holderByMac = [];

    public AddressPool(ReplicatedCommand.CreatePool spec, ulong createdIndex)
    {
        Spec = spec;
        CreatedIndex = createdIndex;
        ChangedIndex = createdIndex;
        _sequence = new AddressSequence(AddressSequence.ToNumber(spec.Subnet.BaseAddress), spec.Subnet.PrefixLength);
        foreach (IPAddress address in spec.Exclusions.Add(spec.Gateway))
        {
            long ordinal = _sequence.OrdinalOf(AddressSequence.ToNumber(address));
            if (ordinal >= 0)
            {
                _reserved.Add(ordinal);
            }
        }
    }

    public ReplicatedCommand.CreatePool Spec { get; }

    public ulong CreatedIndex { get; }

    /// <summary>The log index of the latest grant or release: what is told about the pool carries it as its version.</summary>
    public ulong ChangedIndex { get; private set; }

    /// <summary>The first ordinal that the sequence has not passed; never falls.</summary>
    public long Cursor { get; private set; }

    public IEnumerable<long> GrantedAhead => _grantedAhead;

    public int LeaseCount => _holderByMac.Count;

    public long Size => _sequence.Count - _reserved.Count;

    /// <summary>Empty for ever where addresses are never reused and none was reclaimed.</summary>
    public ReturnedAddresses Returned { get; } = new();

    /// <summary>By ordinal.</summary>
    public IEnumerable<(long Ordinal, Parking Parking)> Parked => _parked.Select(row => (row.Key, row.Value));

    public int ParkedCount => _parked.Count;

    /// <summary>Addresses that may still be granted.</summary>
    public long Free =>
        _sequence.Count - Cursor - _reserved.Count(ordinal => ordinal >= Cursor) - _grantedAhead.Count - _parked.Keys.Count(ordinal => !WasGranted(ordinal)) + Returned.RestedCount;

    /// <summary>What the next grant without a wish gets, or null when there is none.</summary>
    public uint? Next => (FirstUnused ?? Returned.Next) is { } ordinal ? _sequence.AddressAt(ordinal) : null;

    private long? FirstUnused
    {
        get
        {
            for (long ordinal = Cursor; ordinal < _sequence.Count; ordinal++)
            {
                if (IsUnused(ordinal))
                {
                    return ordinal;
                }
            }

            return null;
        }
    }

    public bool IsReserved(uint address) => _reserved.Contains(_sequence.OrdinalOf(address));

    public bool IsHostAddress(uint address) => _sequence.OrdinalOf(address) >= 0;

    /// <summary>True if <paramref name="address"/> could be granted now.</summary>
    public bool IsGrantable(uint address)
    {
        long ordinal = _sequence.OrdinalOf(address);
        return IsUnused(ordinal) || (Returned.IsRested(ordinal) && FirstUnused is null);
    }

    /// <summary>True if it was given back, and is granted again only later.</summary>
    public bool IsReturned(uint address) => Returned.Contains(_sequence.OrdinalOf(address));

    public bool TryGetHolder(ulong mac, out AttachmentId holder) => _holderByMac.TryGetValue(mac, out holder);

    /// <summary>Grants a grantable address to a NIC whose MAC nobody here has.</summary>
    public void Grant(uint address, ulong mac, AttachmentId holder, ulong index)
    {
        ChangedIndex = index;
        _holderByMac.Add(mac, holder);
        long ordinal = _sequence.OrdinalOf(address);
        if (Returned.IsRested(ordinal))
        {
            Returned.Take(ordinal);
            return;
        }

        _grantedAhead.Add(ordinal);
        MoveCursor();
    }

    /// <summary>The address stays with the NIC, which goes by another attachment from now on.</summary>
    public void Pass(ulong mac, AttachmentId heir, ulong index)
    {
        ChangedIndex = index;
        _holderByMac[mac] = heir;
    }

    /// <summary>Ends a lease. The address stays granted for ever, or rests before it is granted again.</summary>
    public void Release(uint address, ulong mac, ulong index)
    {
        ChangedIndex = index;
        _holderByMac.Remove(mac);
        if (Spec.Reuse == AddressReuse.Quarantine)
        {
            Returned.TryAdd(_sequence.OrdinalOf(address), index);
        }
    }

    /// <summary>What a node has in reserve, from the top of the subnet downwards.</summary>
    public IEnumerable<(uint Address, ulong GrantIndex)> ParkedOf(Guid nodeUid) => _parked
        .Where(row => row.Value.NodeUid == nodeUid)
        .Select(row => (Address: _sequence.AddressAt(row.Key), row.Value.GrantIndex))
        .OrderByDescending(row => row.Address);

    public bool IsParked(uint address) => _parked.ContainsKey(_sequence.OrdinalOf(address));

    public bool IsParked(uint address, Guid nodeUid, ulong grantIndex) =>
        _parked.TryGetValue(_sequence.OrdinalOf(address), out Parking? parking) && parking == new Parking(nodeUid, grantIndex);

    public uint AddressAt(long ordinal) => _sequence.AddressAt(ordinal);

    /// <summary>
    /// Parks one address more for a node: the highest that was never given out, else the highest that has rested. At most
    /// half of the pool is parked; the other half stays for those who can ask.
    /// </summary>
    /// <returns>The address, or null when there is none.</returns>
    public uint? Park(Guid nodeUid, ulong index)
    {
        if (_parked.Count >= Size / 2 || Highest is not { } ordinal)
        {
            return null;
        }

        Returned.Take(ordinal);
        _parked.Add(ordinal, new Parking(nodeUid, index));
        ChangedIndex = index;
        return _sequence.AddressAt(ordinal);
    }

    /// <summary>A parked address goes to a NIC whose MAC nobody here has.</summary>
    public void Use(uint address, ulong mac, AttachmentId holder, ulong index)
    {
        Retire(address, index);
        _holderByMac.Add(mac, holder);
    }

    /// <summary>A parked address that no NIC ever had may be granted again: at once, or as before where it was given back once.</summary>
    public void Unpark(uint address, ulong index)
    {
        ChangedIndex = index;
        long ordinal = _sequence.OrdinalOf(address);
        _parked.Remove(ordinal);
        if (WasGranted(ordinal))
        {
            Returned.TryAdd(ordinal, index);
        }
    }

    /// <summary>
    /// A parked address counts as granted from now on and as held by nobody: it is given again only when somebody says so.
    /// </summary>
    public void Retire(uint address, ulong index)
    {
        ChangedIndex = index;
        long ordinal = _sequence.OrdinalOf(address);
        _parked.Remove(ordinal);
        if (!WasGranted(ordinal))
        {
            _grantedAhead.Add(ordinal);
            MoveCursor();
        }
    }

    /// <summary>A NIC had the parked address and has it no more: as if a lease of it had ended.</summary>
    public void Spend(uint address, ulong index)
    {
        Retire(address, index);
        if (Spec.Reuse == AddressReuse.Quarantine)
        {
            Returned.TryAdd(_sequence.OrdinalOf(address), index);
        }
    }

    /// <summary>Has all that was granted and is not held granted again one day, as if it had been released now.</summary>
    /// <returns>True if there is any.</returns>
    public bool Reclaim(IEnumerable<uint> held, ulong index)
    {
        HashSet<long> kept = [.. held.Select(_sequence.OrdinalOf), .. _reserved, .. _parked.Keys];
        int before = Returned.RestingCount;
        for (long ordinal = 0; ordinal < Cursor; ordinal++)
        {
            if (!kept.Contains(ordinal))
            {
                Returned.TryAdd(ordinal, index);
            }
        }

        foreach (long ordinal in _grantedAhead.Where(ordinal => !kept.Contains(ordinal)))
        {
            Returned.TryAdd(ordinal, index);
        }

        ChangedIndex = Returned.RestingCount > before ? index : ChangedIndex;
        return Returned.RestingCount > before;
    }

    /// <inheritdoc cref="ReturnedAddresses.Advance"/>
    public bool Advance(ulong seen, ulong clock, ulong index)
    {
        bool isChanged = Returned.Advance(seen, clock);
        ChangedIndex = isChanged ? index : ChangedIndex;
        return isChanged;
    }

    /// <summary>Something about the pool or its leases changed; never goes back.</summary>
    public void NoteChange(ulong index) => ChangedIndex = Math.Max(ChangedIndex, index);

    /// <summary>Puts back what a snapshot held; false if it can't be true.</summary>
    public bool TryRestoreGrants(long cursor, IEnumerable<long> grantedAhead)
    {
        if (cursor < 0 || cursor > _sequence.Count)
        {
            return false;
        }

        Cursor = cursor;
        foreach (long ordinal in grantedAhead)
        {
            if (ordinal < cursor || ordinal >= _sequence.Count || !_grantedAhead.Add(ordinal))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Puts back what a snapshot held; false if it can't be true.</summary>
    public bool TryRestoreReturned(long cursor, IEnumerable<(long Ordinal, ulong Index, ulong? Since)> resting, IEnumerable<long> rested, ulong clock) =>
        Returned.TryRestore(cursor, _sequence.Count, resting, rested, clock)
        && Returned.Resting.Select(row => row.Ordinal).Concat(Returned.Rested).All(ordinal => WasGranted(ordinal) && !_reserved.Contains(ordinal));

    /// <summary>Puts back a parked address of a snapshot; false if it can't be true.</summary>
    public bool TryRestoreParked(long ordinal, Guid nodeUid, ulong grantIndex) =>
        ordinal >= 0
        && ordinal < _sequence.Count
        && !_reserved.Contains(ordinal)
        && !Returned.Contains(ordinal)
        && _parked.TryAdd(ordinal, new Parking(nodeUid, grantIndex));

    /// <summary>Puts back a lease of a snapshot; false if it can't be true.</summary>
    public bool TryRestoreLease(uint address, ulong mac, AttachmentId holder)
    {
        long ordinal = _sequence.OrdinalOf(address);
        return ordinal >= 0
            && WasGranted(ordinal)
            && !Returned.Contains(ordinal)
            && !_parked.ContainsKey(ordinal)
            && _holderByMac.TryAdd(mac, holder);
    }

    // The last ordinal is the lowest address of the subnet.
    private long? Highest
    {
        get
        {
            for (long ordinal = _sequence.Count - 2; ordinal >= Cursor; ordinal--)
            {
                if (IsUnused(ordinal))
                {
                    return ordinal;
                }
            }

            return IsUnused(_sequence.Count - 1) ? _sequence.Count - 1
                : Returned.RestedCount == 0 ? null
                : Returned.Rested.MaxBy(_sequence.AddressAt);
        }
    }

    private bool IsUnused(long ordinal) =>
        ordinal >= Cursor && !_reserved.Contains(ordinal) && !_grantedAhead.Contains(ordinal) && !_parked.ContainsKey(ordinal);

    private bool WasGranted(long ordinal) => ordinal < Cursor || _grantedAhead.Contains(ordinal);

    // Only past what was granted: a reserved address in between is passed together with the next grant, so that the
    // cursor is a function of the grants alone.
    private void MoveCursor()
    {
        long ordinal = Cursor;
        while (ordinal < _sequence.Count && (_reserved.Contains(ordinal) || _grantedAhead.Contains(ordinal)))
        {
            if (_grantedAhead.Remove(ordinal))
            {
                Cursor = ordinal + 1;
            }

            ordinal++;
        }
    }
}

/// <summary>In whose reserve an address is, and the log index at which it came there.</summary>
internal sealed record Parking(Guid NodeUid, ulong GrantIndex);
