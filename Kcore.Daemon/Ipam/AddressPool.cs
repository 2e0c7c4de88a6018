using System.Net;

namespace Kcore.Daemon.Ipam;

/// <summary>
/// The addresses of one overlay. An address is granted once in the life of the pool: the cursor only moves forward, and
/// what was granted ahead of it on request is remembered until the cursor has passed.
/// </summary>
internal sealed class AddressPool
{
    private readonly AddressSequence _sequence;

    // The gateway and the exclusions as ordinals.
    private readonly SortedSet<long> _reserved = [];

    // Ordinals at or after the cursor that were granted on request.
    private readonly SortedSet<long> _grantedAhead = [];

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

    /// <summary>Addresses that may still be granted.</summary>
    public long Free => _sequence.Count - Cursor - _reserved.Count(ordinal => ordinal >= Cursor) - _grantedAhead.Count;

    /// <summary>What the next grant without a wish gets, or null when there is none.</summary>
    public uint? Next
    {
        get
        {
            for (long ordinal = Cursor; ordinal < _sequence.Count; ordinal++)
            {
                if (!_reserved.Contains(ordinal) && !_grantedAhead.Contains(ordinal))
                {
                    return _sequence.AddressAt(ordinal);
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
        return ordinal >= Cursor && !_reserved.Contains(ordinal) && !_grantedAhead.Contains(ordinal);
    }

    public bool TryGetHolder(ulong mac, out AttachmentId holder) => _holderByMac.TryGetValue(mac, out holder);

    /// <summary>Grants a grantable address to a NIC whose MAC nobody here has.</summary>
    public void Grant(uint address, ulong mac, AttachmentId holder, ulong index)
    {
        ChangedIndex = index;
        _grantedAhead.Add(_sequence.OrdinalOf(address));
        _holderByMac.Add(mac, holder);
        MoveCursor();
    }

    /// <summary>Ends a lease. The address stays granted for ever.</summary>
    public void Release(ulong mac, ulong index)
    {
        ChangedIndex = index;
        _holderByMac.Remove(mac);
    }

    /// <summary>Puts back when the pool last changed, as far as a snapshot tells; never goes back.</summary>
    public void RestoreChange(ulong index) => ChangedIndex = Math.Max(ChangedIndex, index);

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

    /// <summary>Puts back a lease of a snapshot; false if it can't be true.</summary>
    public bool TryRestoreLease(uint address, ulong mac, AttachmentId holder)
    {
        long ordinal = _sequence.OrdinalOf(address);
        return ordinal >= 0
            && (ordinal < Cursor || _grantedAhead.Contains(ordinal))
            && _holderByMac.TryAdd(mac, holder);
    }

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
