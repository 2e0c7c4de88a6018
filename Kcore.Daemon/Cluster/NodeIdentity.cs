using System.Security.Cryptography;
using Kcore.Daemon.Storage;
using Kcore.Gossip;
using Microsoft.Extensions.Logging;

namespace Kcore.Daemon.Cluster;

/// <summary>The cluster a node belongs to.</summary>
internal readonly record struct ClusterRef(Guid Id, uint Epoch);

/// <summary>
/// Who this node is, for ever: 128 random bits made at its first start, never the machine id, because images get cloned.
/// The machine id is only recorded beside them, to notice exactly that.
/// </summary>
internal sealed partial class NodeIdentity
{
    private const string UidKey = "node.uid";
    private const string BootKey = "node.boot";
    private const string MachineKey = "node.machine";
    private const string ClusterKey = "cluster.id";
    private const string EpochKey = "cluster.epoch";
    private const string NameKey = "node.name";
    private const string EverKey = "cluster.ever";
    private const string DutyKey = "node.duty";
    private const string DepartureKey = "node.departure";
    private const string ResetKey = "node.reset";
    private const string MachineIdFile = "/etc/machine-id";

    private readonly MetaStore _meta;
    private int _duty;
    private int _departure;

    private NodeIdentity(MetaStore meta, NodeId id, uint boot, ulong nonce, string machine)
    {
        _meta = meta;
        Id = id;
        BootEpoch = boot;
        BootNonce = nonce;
        MachineId = machine;
        _duty = (int)(meta.Number(DutyKey) ?? 0);
        _departure = (int)(meta.Number(DepartureKey) ?? 0);
    }

    public NodeId Id { get; }

    /// <summary>Counts starts; on disk before the first datagram.</summary>
    public uint BootEpoch { get; private set; }

    /// <summary>
    /// Names this start: its number, then 32 random bits. Of a node and a copy of it, the one that started later is the copy
    /// most of the time, and has the larger nonce.
    /// </summary>
    public ulong BootNonce { get; }

    public string MachineId { get; }

    /// <summary>On disk before it shows, so that a node that was drained comes back drained.</summary>
    public Duty Duty
    {
        get => (Duty)Volatile.Read(ref _duty);
        set
        {
            _meta.Set((DutyKey, (ulong)value));
            Volatile.Write(ref _duty, (int)value);
        }
    }

    /// <summary>Not None once the node is out of its cluster, until it is reset.</summary>
    public Departure Departure => (Departure)Volatile.Read(ref _departure);

    /// <summary>The cluster of the last run, or null.</summary>
    public ClusterRef? Cluster =>
        _meta.Id(ClusterKey) is { } id ? new ClusterRef(Uid.ToGuid(id), (uint)(_meta.Number(EpochKey) ?? 1)) : null;

    /// <summary>A node that was a member once never founds a cluster by itself again.</summary>
    public bool WasEverMember => _meta.Number(EverKey) is > 0;

    /// <summary>The name under which this identity first was a member: a copy of the disk tells it, too. Null before.</summary>
    public string? FirstName => _meta.Text(NameKey);

    /// <summary>Reads or makes the identity and counts this start.</summary>
    public static NodeIdentity Load(MetaStore meta, ILogger logger) => Load(meta, ReadMachineId(), logger);

    /// <param name="machine">The machine id; empty when the machine has none.</param>
    internal static NodeIdentity Load(MetaStore meta, string machine, ILogger logger)
    {
        UInt128? uid = meta.Id(UidKey);
        string? recorded = meta.Text(MachineKey);
        bool cloned = uid is not null && recorded is { Length: > 0 } && machine.Length > 0 && recorded != machine;
        if (cloned)
        {
            Log.DiskCloned(logger, new NodeId(uid!.Value).Short);
            uid = null;
        }

        Span<byte> bytes = stackalloc byte[24];
        RandomNumberGenerator.Fill(bytes);
        NodeId id = uid is { } known ? new NodeId(known) : NodeId.FromBytes(bytes);
        uint boot = cloned ? 1 : (uint)(meta.Number(BootKey) ?? 0) + 1;
        if (cloned)
        {
            // One transaction: half of it would leave a node that does not know that it is a copy.
            meta.StartAfresh((UidKey, id.Value), (BootKey, (ulong)boot), (MachineKey, machine));
        }
        else
        {
            meta.Set((UidKey, id.Value), (BootKey, (ulong)boot), (MachineKey, machine));
        }

        return new NodeIdentity(meta, id, boot, ((ulong)boot << 32) | BitConverter.ToUInt32(bytes[16..]), machine);
    }

    public void JoinCluster(ClusterRef cluster) =>
        _meta.Set((ClusterKey, Uid.FromGuid(cluster.Id)), (EpochKey, (ulong)cluster.Epoch), (EverKey, 1UL));

    /// <summary>While no daemon runs: who the node is and which cluster it is a member of. Null when it is of none, or out of it.</summary>
    public static (Guid Node, ClusterRef Cluster)? RecordedMember(MetaStore meta) =>
        meta.Id(UidKey) is { } uid && meta.Id(ClusterKey) is { } cluster && meta.Number(DepartureKey) is null or 0
            ? (Uid.ToGuid(uid), new ClusterRef(Uid.ToGuid(cluster), (uint)(meta.Number(EpochKey) ?? 1)))
            : null;

    /// <summary>While no daemon runs: the node's cluster goes on in another epoch.</summary>
    public static void RaiseClusterEpoch(MetaStore meta, uint epoch) => meta.Set((EpochKey, (ulong)epoch));

    /// <summary>
    /// Becomes another node, for the next start: another one runs with this identity, and it keeps it. What this copy says
    /// about cluster and NICs belongs to the other. Where members are is kept, and that this node founds no cluster.
    /// </summary>
    public void Replace()
    {
        List<string> contacts = RememberedContacts();
        _meta.StartAfresh((UidKey, Uid.NewRandom()), (BootKey, 0UL), (MachineKey, MachineId), (EverKey, 1UL));
        RememberContacts(contacts);
    }

    /// <summary>The cluster goes on without this node, and the node without the cluster.</summary>
    public void Depart()
    {
        Departure departure = Duty == Duty.Leaving ? Departure.Left : Departure.Removed;
        _meta.Set((DepartureKey, (ulong)departure));
        Volatile.Write(ref _departure, (int)departure);
    }

    /// <summary>The next start begins with nothing: <see cref="WipeIfAsked"/>.</summary>
    public void AskForReset(ResetScope scope) => _meta.Set((ResetKey, (ulong)scope));

    /// <summary>
    /// Before the identity is loaded: does what a reset asked for. The mark goes last and together with the rest, so that a
    /// reset that was interrupted is done again.
    /// </summary>
    /// <param name="deleteFiles">Deletes what is not in the database; told whether the cluster key goes, too.</param>
    public static void WipeIfAsked(MetaStore meta, Action<bool> deleteFiles)
    {
        switch ((ResetScope?)meta.Number(ResetKey))
        {
            case null:
                break;
            case ResetScope.JoinAnew:
                List<string> contacts = meta.Contacts();
                deleteFiles(false);
                meta.StartAfresh((EverKey, 1UL));
                meta.SetContacts(contacts);
                break;
            case var scope:
                deleteFiles(scope == ResetScope.WithKey);
                meta.StartAfresh();
                break;
        }
    }

    /// <summary>Keeps the name the node first was a member under.</summary>
    public void RememberName(string name)
    {
        if (FirstName is null)
        {
            _meta.Set((NameKey, name));
        }
    }

    /// <summary>The cluster ended; the node looks for another and founds none.</summary>
    public void LeaveCluster() => _meta.Set((ClusterKey, null), (EpochKey, null));

    public void RaiseBootEpoch(uint epoch)
    {
        BootEpoch = epoch;
        _meta.Set((BootKey, (ulong)epoch));
    }

    /// <summary>Addresses (<c>IP:PORT</c>) to try first at the next start.</summary>
    public void RememberContacts(IReadOnlyCollection<string> addresses) => _meta.SetContacts(addresses);

    public List<string> RememberedContacts() => _meta.Contacts();

    private static string ReadMachineId()
    {
        try
        {
            string text = File.ReadAllText(MachineIdFile).Trim();
            return text.Length <= 64 ? text : text[..64];
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1106, LogLevel.Warning, "This disk was cloned from another machine (node {Node}): starting as a fresh node")]
        public static partial void DiskCloned(ILogger logger, string node);
    }
}
