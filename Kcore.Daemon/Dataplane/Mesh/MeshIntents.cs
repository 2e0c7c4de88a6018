using System.Net;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Cluster.Addressing;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>What the catalog says about the encrypted mesh: a pure function.</summary>
internal static class MeshIntents
{
    /// <summary>Null while this node has no address in it.</summary>
    public static MeshIntent? Of(NodeId self, Underlay underlay, CatalogSnapshot catalog, Func<NodeId, bool> hasNotLeft) =>
        catalog.View.Mesh.TryGetValue(self, out IPAddress? own)
            ? new MeshIntent(
                own,
                KernelFacts.MeshMtu(underlay.Mtu, underlay.Advertised.Address),
                [
                    .. catalog.View.Nodes
                        .Where(n => n.Key != self && !n.Value.VxlanDisabled && hasNotLeft(n.Key) && AddressOf(n.Key, catalog.View) is not null)
                        .OrderBy(n => n.Key)
                        .Select(n => new MeshPeer(
                            n.Value.Name, n.Value.Wireguard!.Key, new IPEndPoint(n.Value.Vtep, n.Value.Wireguard.Port), catalog.View.Mesh[n.Key])),
                ])
            : null;

    /// <summary>The tunnel address of a node inside the mesh, if it can be spoken to there: it has a key as well.</summary>
    public static IPAddress? AddressOf(NodeId node, CatalogView view) =>
        view.Nodes.TryGetValue(node, out NodeFact? fact) && fact.Wireguard is not null ? view.Mesh.GetValueOrDefault(node) : null;
}
