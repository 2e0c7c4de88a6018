using System.Net.NetworkInformation;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Storage.RaftLog;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>One address held by one NIC.</summary>
/// <param name="Index">The log index of the grant to its node: the first, or that of the move that brought it there.</param>
/// <param name="ChangedIndex">That of what was last said about it.</param>
/// <param name="Orphaned">Its NIC is known nowhere; the address stays held.</param>
internal sealed record LeaseRecord(
    AttachmentId Attachment,
    NetworkUid Network,
    uint Address,
    PhysicalAddress Mac,
    Guid NodeUid,
    string NicName,
    ulong Index,
    ulong ChangedIndex,
    bool Orphaned = false)
{
    public ulong MacNumber { get; } = ToNumber(Mac);

    public static ulong ToNumber(PhysicalAddress mac)
    {
        ulong number = 0;
        foreach (byte part in mac.GetAddressBytes())
        {
            number = (number << 8) | part;
        }

        return number;
    }
}

/// <summary>One admitted node.</summary>
internal sealed record NodeRecord(MemberId Member, string Name, ulong Index);

/// <summary>A node that was removed, for good.</summary>
internal sealed record RemovedNode(Guid NodeUid, string Name, ulong Index);

/// <summary>
/// What the replicated state consists of, and its bytes. All tables are sorted by key, so that every node enumerates and
/// encodes them alike.
/// </summary>
internal sealed class ReplicatedTables
{
    private const byte Version = 8;

    // Without moves.
    private const byte MovelessVersion = 7;

    // Also without what recoveries hold back.
    private const byte UnrecoveredVersion = 6;

    // Also without the emergency reserve.
    private const byte ReservelessVersion = 5;

    // Without the mesh.
    private const byte MeshlessVersion = 4;

    // It keeps what was released for ever.
    private const byte HoardingVersion = 3;

    // Of removed nodes it has the uid alone. No version of that time removed one.
    private const byte NamelessVersion = 2;

    // Also without the indexes that date the cluster's end, the pools and the whole; they are made up alike everywhere.
    private const byte UndatedVersion = 1;
    private const int RowsMax = 16_000_000;

    public Guid ClusterId { get; set; }

    public uint Epoch { get; set; }

    /// <summary>The index of the latest command applied.</summary>
    public ulong AppliedIndex { get; set; }

    /// <summary>Milliseconds that are known to have passed, at least.</summary>
    public ulong Clock { get; set; }

    public Guid DissolvedInto { get; set; }

    public ulong DissolvedIndex { get; set; }

    /// <summary>True from the first pool on, also after it was deleted.</summary>
    public bool WasUsed { get; set; }

    public SortedDictionary<Guid, NodeRecord> Nodes { get; } = [];

    public SortedDictionary<Guid, RemovedNode> RemovedNodes { get; } = [];

    public SortedDictionary<NetworkUid, AddressPool> Pools { get; } = [];

    /// <summary>Uids that were deleted: a late duplicate of their creation must not bring them back.</summary>
    public SortedSet<NetworkUid> DeletedPools { get; } = [];

    public SortedDictionary<AttachmentId, LeaseRecord> Leases { get; } = [];

    public RetiredAttachments Retired { get; } = new();

    public MeshTable Mesh { get; } = new();

    /// <summary>By node: the name of the record in which it keeps what it has used of its emergency reserves.</summary>
    public SortedDictionary<Guid, Guid> ReserveHolders { get; } = [];

    public MoveTable Moves { get; } = new();

    /// <summary>The index of the last recovery, until it is finished; else 0.</summary>
    public ulong RecoveredIndex { get; set; }

    public void Write(FieldWriter writer)
    {
        writer.U8(Version);
        writer.Id(ClusterId);
        writer.U32(Epoch);
        writer.U64(AppliedIndex);
        writer.U64(Clock);
        writer.Id(DissolvedInto);
        writer.U64(DissolvedIndex);
        writer.Flag(WasUsed);
        writer.U32((uint)Nodes.Count);
        foreach (NodeRecord node in Nodes.Values)
        {
            writer.Member(node.Member);
            writer.Text(node.Name);
            writer.U64(node.Index);
        }

        writer.U32((uint)RemovedNodes.Count);
        foreach (RemovedNode node in RemovedNodes.Values)
        {
            writer.Id(node.NodeUid);
            writer.Text(node.Name);
            writer.U64(node.Index);
        }

        writer.U32((uint)Pools.Count);
        foreach (AddressPool pool in Pools.Values)
        {
            CommandCodec.WritePool(writer, pool.Spec);
            writer.U64(pool.CreatedIndex);
            writer.U64(pool.ChangedIndex);
            writer.U64((ulong)pool.Cursor);
            writer.U32((uint)pool.GrantedAhead.Count());
            foreach (long ordinal in pool.GrantedAhead)
            {
                writer.U64((ulong)ordinal);
            }

            WriteReturned(writer, pool);
            WriteParked(writer, pool);
        }

        writer.U32((uint)DeletedPools.Count);
        foreach (NetworkUid network in DeletedPools)
        {
            writer.Id(network.Value);
        }

        writer.U32((uint)Leases.Count);
        foreach (LeaseRecord lease in Leases.Values)
        {
            writer.Id(lease.Attachment.Value);
            writer.Id(lease.Network.Value);
            writer.U32(lease.Address);
            CommandCodec.WriteMac(writer, lease.MacNumber);
            writer.Id(lease.NodeUid);
            writer.Text(lease.NicName);
            writer.U64(lease.Index);
            writer.U64(lease.ChangedIndex);
            writer.Flag(lease.Orphaned);
        }

        writer.U32((uint)Retired.Count);
        foreach ((AttachmentId attachment, NetworkUid network, ulong index) in Retired.Rows)
        {
            writer.Id(attachment.Value);
            writer.Id(network.Value);
            writer.U64(index);
        }

        Mesh.Write(writer);
        writer.U32((uint)ReserveHolders.Count);
        foreach ((Guid node, Guid holder) in ReserveHolders)
        {
            writer.Id(node);
            writer.Id(holder);
        }

        WriteRecovery(writer);
        Moves.Write(writer);
    }

    /// <exception cref="InvalidDataException">The bytes are no snapshot, or what they say can't be true.</exception>
    /// <exception cref="NewerVersionException">A newer version wrote them.</exception>
    public static ReplicatedTables Decode(ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(bytes);
        var tables = new ReplicatedTables();
        byte version = reader.U8();
        if (version > Version)
        {
            throw new NewerVersionException($"The snapshot of the replicated state (format {version}, this version reads up to {Version})");
        }

        bool isConsistent = version is >= UndatedVersion and <= Version && tables.TryRead(ref reader, version);
        return isConsistent && reader.IsAtValidEnd
            ? tables
            : throw new InvalidDataException("The bytes are no snapshot of the replicated state.");
    }

    private bool TryRead(ref FieldReader reader, byte version)
    {
        bool isDated = version != UndatedVersion, isNamed = version > NamelessVersion, isCurrent = version > HoardingVersion, isParking = version > ReservelessVersion;
        ClusterId = reader.Id();
        Epoch = reader.U32();
        AppliedIndex = isDated ? reader.U64() : 0;
        Clock = isCurrent ? reader.U64() : 0;
        DissolvedInto = reader.Id();
        DissolvedIndex = isDated ? reader.U64() : 0;
        WasUsed = reader.Flag();
        for (int left = reader.Count(RowsMax, 44); left > 0; left--)
        {
            var node = new NodeRecord(reader.Member(), reader.Text(CommandCodec.NameBytesMax), reader.U64());
            if (!reader.IsValid || !Nodes.TryAdd(node.Member.NodeUid, node))
            {
                return false;
            }
        }

        for (int left = reader.Count(RowsMax, 16); left > 0; left--)
        {
            var removed = new RemovedNode(reader.Id(), isNamed ? reader.Text(CommandCodec.NameBytesMax) : "", isNamed ? reader.U64() : 0);
            RemovedNodes[removed.NodeUid] = removed;
        }

        for (int left = reader.Count(RowsMax, isParking ? 79 : isCurrent ? 74 : 57); left > 0; left--)
        {
            if (!TryReadPool(ref reader, isDated, isCurrent, isParking))
            {
                return false;
            }
        }

        for (int left = reader.Count(RowsMax, 16); left > 0; left--)
        {
            DeletedPools.Add(new NetworkUid(reader.Id()));
        }

        for (int left = reader.Count(RowsMax, isCurrent ? 79 : 70); left > 0; left--)
        {
            if (!TryReadLease(ref reader, isCurrent))
            {
                return false;
            }
        }

        for (int left = reader.Count(RowsMax, isCurrent ? 40 : 32); left > 0; left--)
        {
            var attachment = new AttachmentId(reader.Id());
            if (!Retired.TryAdd(attachment, new NetworkUid(reader.Id()), isCurrent ? reader.U64() : RetiredAttachments.Undated))
            {
                return false;
            }
        }

        return (version <= MeshlessVersion || Mesh.TryRead(ref reader, Nodes.ContainsKey))
            && (!isParking || TryReadHolders(ref reader))
            && (version <= UnrecoveredVersion || TryReadRecovery(ref reader))
            && (version <= MovelessVersion || Moves.TryRead(ref reader, IsPossible));
    }

    // What moves is held by the node it comes from, and goes to a node of the cluster.
    private bool IsPossible(MoveRecord move) =>
        !move.IsPending
        || (Nodes.ContainsKey(move.Nic.To) && (!move.Nic.IsLeased || (Leases.TryGetValue(move.Nic.Attachment, out LeaseRecord? lease) && lease.NodeUid == move.Nic.From)));

    // Whoever has a reserve has a record of it.
    private bool TryReadHolders(ref FieldReader reader)
    {
        for (int left = reader.Count(RowsMax, 32); left > 0; left--)
        {
            Guid node = reader.Id(), holder = reader.Id();
            if (holder == Guid.Empty || !Nodes.ContainsKey(node) || !ReserveHolders.TryAdd(node, holder))
            {
                return false;
            }
        }

        return Pools.Values.SelectMany(pool => pool.Parked).All(row => ReserveHolders.ContainsKey(row.Parking.NodeUid));
    }

    private static void WriteParked(FieldWriter writer, AddressPool pool)
    {
        writer.U32((uint)pool.ParkedCount);
        foreach ((long ordinal, Parking parking) in pool.Parked)
        {
            writer.U64((ulong)ordinal);
            writer.Id(parking.NodeUid);
            writer.U64(parking.GrantIndex);
        }
    }

    private static bool TryReadParked(ref FieldReader reader, AddressPool pool)
    {
        for (int left = reader.Count(RowsMax, 32); left > 0; left--)
        {
            if (!pool.TryRestoreParked((long)reader.U64(), reader.Id(), reader.U64()))
            {
                return false;
            }
        }

        return reader.IsValid;
    }

    private void WriteRecovery(FieldWriter writer)
    {
        writer.U64(RecoveredIndex);
        foreach (AddressPool pool in Pools.Values)
        {
            writer.U32((uint)pool.HeldBack.Count);
            foreach (long ordinal in pool.HeldBack)
            {
                writer.U64((ulong)ordinal);
            }
        }
    }

    private bool TryReadRecovery(ref FieldReader reader)
    {
        RecoveredIndex = reader.U64();
        ILookup<NetworkUid, uint> held = Leases.Values.ToLookup(lease => lease.Network, lease => lease.Address);
        foreach (AddressPool pool in Pools.Values)
        {
            var ordinals = new long[reader.Count(RowsMax, 8)];
            for (int i = 0; i < ordinals.Length; i++)
            {
                ordinals[i] = (long)reader.U64();
            }

            if (!reader.IsValid
                || (ordinals.Length > 0 && RecoveredIndex == 0)
                || !pool.TryRestoreHeldBack(ordinals, held[pool.Spec.Network].ToHashSet()))
            {
                return false;
            }
        }

        return reader.IsValid;
    }

    private static void WriteReturned(FieldWriter writer, AddressPool pool)
    {
        writer.U8((byte)pool.Spec.Reuse);
        writer.U8((byte)pool.Spec.Reserve);
        writer.U64((ulong)pool.Returned.Cursor);
        writer.U32((uint)pool.Returned.RestingCount);
        foreach ((long ordinal, ulong index, ulong? since) in pool.Returned.Resting)
        {
            writer.U64((ulong)ordinal);
            writer.U64(index);
            writer.Flag(since is not null);
            writer.U64(since ?? 0);
        }

        writer.U32((uint)pool.Returned.RestedCount);
        foreach (long ordinal in pool.Returned.Rested)
        {
            writer.U64((ulong)ordinal);
        }
    }

    private bool TryReadReturned(ref FieldReader reader, AddressPool pool)
    {
        ulong cursor = reader.U64();
        var resting = new (long, ulong, ulong?)[reader.Count(RowsMax, 25)];
        for (int i = 0; i < resting.Length; i++)
        {
            long ordinal = (long)reader.U64();
            ulong index = reader.U64();
            bool isDated = reader.Flag();
            ulong since = reader.U64();
            resting[i] = (ordinal, index, isDated ? since : null);
            if (!isDated && since != 0)
            {
                return false;
            }
        }

        var rested = new long[reader.Count(RowsMax, 8)];
        for (int i = 0; i < rested.Length; i++)
        {
            rested[i] = (long)reader.U64();
        }

        return reader.IsValid && pool.TryRestoreReturned((long)cursor, resting, rested, Clock);
    }

    private bool TryReadPool(ref FieldReader reader, bool isDated, bool isCurrent, bool isParking)
    {
        ReplicatedCommand.CreatePool? spec = CommandCodec.ReadPool(ref reader);
        ulong createdIndex = reader.U64();
        ulong changedIndex = isDated ? reader.U64() : createdIndex;
        ulong cursor = reader.U64();
        var ahead = new long[reader.Count(RowsMax, 8)];
        for (int i = 0; i < ahead.Length; i++)
        {
            ahead[i] = (long)reader.U64();
        }

        var reuse = (AddressReuse)(isCurrent ? reader.U8() : 0);
        int reserve = isParking ? reader.U8() : 0;
        if (spec is null || !reader.IsValid || spec.Subnet.PrefixLength is < 8 or > 30 || !Enum.IsDefined(reuse) || reserve > ReserveLimits.PerNodeMax)
        {
            return false;
        }

        var pool = new AddressPool(spec with { Reuse = reuse, Reserve = reserve }, createdIndex);
        pool.NoteChange(changedIndex);
        return pool.TryRestoreGrants((long)cursor, ahead)
            && (!isCurrent || TryReadReturned(ref reader, pool))
            && (!isParking || TryReadParked(ref reader, pool))
            && Pools.TryAdd(spec.Network, pool);
    }

    private bool TryReadLease(ref FieldReader reader, bool isCurrent)
    {
        var lease = new LeaseRecord(
            new AttachmentId(reader.Id()),
            new NetworkUid(reader.Id()),
            reader.U32(),
            CommandCodec.ReadMac(ref reader),
            reader.Id(),
            reader.Text(CommandCodec.NameBytesMax),
            reader.U64(),
            0);
        lease = lease with { ChangedIndex = isCurrent ? reader.U64() : lease.Index, Orphaned = isCurrent && reader.Flag() };
        if (!reader.IsValid
            || !Pools.TryGetValue(lease.Network, out AddressPool? pool)
            || !pool.TryRestoreLease(lease.Address, lease.MacNumber, lease.Attachment)
            || !Leases.TryAdd(lease.Attachment, lease))
        {
            return false;
        }

        pool.NoteChange(lease.ChangedIndex);
        return true;
    }
}
