using System.Net.NetworkInformation;
using Kcore.Raft;

namespace Kcore.Daemon.Ipam;

/// <summary>One address held by one NIC.</summary>
internal sealed record LeaseRecord(
    AttachmentId Attachment,
    NetworkUid Network,
    uint Address,
    PhysicalAddress Mac,
    Guid NodeUid,
    string NicName,
    ulong Index)
{
    public ulong MacNumber => ToNumber(Mac);

    public static ulong ToNumber(PhysicalAddress mac) =>
        mac.GetAddressBytes().Aggregate(0UL, (number, part) => (number << 8) | part);
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
    private const byte Version = 4;

    // Without the mesh.
    private const byte MeshlessVersion = 3;

    // Of removed nodes it has the uid alone. No version of that time removed one.
    private const byte NamelessVersion = 2;

    // Also without the indexes that date the cluster's end, the pools and the whole; they are made up alike everywhere.
    private const byte UndatedVersion = 1;
    private const int RowsMax = 16_000_000;

    public Guid ClusterId { get; set; }

    public uint Epoch { get; set; }

    /// <summary>The index of the latest command applied.</summary>
    public ulong AppliedIndex { get; set; }

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

    /// <summary>Attachments that were released, with their network: a late duplicate must not be granted anew.</summary>
    public SortedDictionary<AttachmentId, NetworkUid> Retired { get; } = [];

    public MeshTable Mesh { get; } = new();

    public byte[] Encode()
    {
        var writer = new FieldWriter(4096);
        writer.U8(Version);
        writer.Id(ClusterId);
        writer.U32(Epoch);
        writer.U64(AppliedIndex);
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
            CommandCodec.WriteMac(writer, lease.Mac);
            writer.Id(lease.NodeUid);
            writer.Text(lease.NicName);
            writer.U64(lease.Index);
        }

        writer.U32((uint)Retired.Count);
        foreach ((AttachmentId attachment, NetworkUid network) in Retired)
        {
            writer.Id(attachment.Value);
            writer.Id(network.Value);
        }

        Mesh.Write(writer);
        return writer.ToArray();
    }

    /// <exception cref="InvalidDataException">The bytes are no snapshot, or what they say can't be true.</exception>
    public static ReplicatedTables Decode(ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(bytes);
        var tables = new ReplicatedTables();
        byte version = reader.U8();
        bool isConsistent = version is Version or MeshlessVersion or NamelessVersion or UndatedVersion && tables.TryRead(ref reader, version);
        return isConsistent && reader.IsAtValidEnd
            ? tables
            : throw new InvalidDataException("The bytes are no snapshot of the replicated state.");
    }

    private bool TryRead(ref FieldReader reader, byte version)
    {
        bool isDated = version != UndatedVersion, isNamed = version >= MeshlessVersion;
        ClusterId = reader.Id();
        Epoch = reader.U32();
        AppliedIndex = isDated ? reader.U64() : 0;
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

        for (int left = reader.Count(RowsMax, 57); left > 0; left--)
        {
            if (!TryReadPool(ref reader, isDated))
            {
                return false;
            }
        }

        for (int left = reader.Count(RowsMax, 16); left > 0; left--)
        {
            DeletedPools.Add(new NetworkUid(reader.Id()));
        }

        for (int left = reader.Count(RowsMax, 70); left > 0; left--)
        {
            if (!TryReadLease(ref reader))
            {
                return false;
            }
        }

        for (int left = reader.Count(RowsMax, 32); left > 0; left--)
        {
            Retired[new AttachmentId(reader.Id())] = new NetworkUid(reader.Id());
        }

        return version < Version || Mesh.TryRead(ref reader, Nodes.ContainsKey);
    }

    private bool TryReadPool(ref FieldReader reader, bool isDated)
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

        if (spec is null || !reader.IsValid || spec.Subnet.PrefixLength is < 8 or > 30)
        {
            return false;
        }

        var pool = new AddressPool(spec, createdIndex);
        pool.RestoreChange(changedIndex);
        return pool.TryRestoreGrants((long)cursor, ahead) && Pools.TryAdd(spec.Network, pool);
    }

    private bool TryReadLease(ref FieldReader reader)
    {
        var lease = new LeaseRecord(
            new AttachmentId(reader.Id()),
            new NetworkUid(reader.Id()),
            reader.U32(),
            CommandCodec.ReadMac(ref reader),
            reader.Id(),
            reader.Text(CommandCodec.NameBytesMax),
            reader.U64());
        if (!reader.IsValid
            || !Pools.TryGetValue(lease.Network, out AddressPool? pool)
            || !pool.TryRestoreLease(lease.Address, lease.MacNumber, lease.Attachment)
            || !Leases.TryAdd(lease.Attachment, lease))
        {
            return false;
        }

        pool.RestoreChange(lease.Index);
        return true;
    }
}
