using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Outcome = Kcore.Daemon.Cluster.Consensus.ApplyOutcome<
    Kcore.Daemon.Ipam.ReplicatedResult,
    Kcore.Daemon.Ipam.ReplicatedChange>;

namespace Kcore.Daemon.Ipam;

// Addresses in the encrypted mesh.
public sealed partial class ReplicatedState
{
    /// <summary>The node's address in the encrypted mesh, or null.</summary>
    public IPAddress? MeshAddress(Guid nodeUid) => _tables.Mesh.Find(nodeUid) is { } row ? AddressOf(row) : null;

    private Outcome Apply(ulong index, ReplicatedCommand.JoinMesh join)
    {
        if (_tables.Mesh.Find(join.NodeUid) is not null)
        {
            return Unchanged;
        }

        if (!_tables.Nodes.ContainsKey(join.NodeUid))
        {
            return Refuse(RefusalCode.NotFound, $"There is no node {join.NodeUid:N}.");
        }

        return _tables.Mesh.Add(join.NodeUid, index) is { } row
            ? Change(Announce(row))
            : Refuse(RefusalCode.ResourceExhausted, $"All addresses of the mesh ({MeshPool.Text}) are held.");
    }

    private static ReplicatedChange.MeshPut Announce(MeshRow row) => new(row.NodeUid, AddressOf(row), row.Index);

    private static IPAddress AddressOf(MeshRow row) =>
        AddressSequence.ToAddress(AddressSequence.ToNumber(MeshPool.Network.BaseAddress) + row.Ordinal);
}
