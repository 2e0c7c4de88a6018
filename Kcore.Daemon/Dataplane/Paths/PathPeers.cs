using System.Net.Sockets;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Catalog.View;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Gossip;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>Whom tunnel packets of this node go to: a pure function of the catalog.</summary>
internal static class PathPeers
{
    /// <summary>The nodes an overlay is ready on that is ready here, too, in the order of their ids.</summary>
    public static IReadOnlyList<PathPeer> Of(NodeId self, CatalogSnapshot catalog)
    {
        HashSet<NodeId> nodes = [];

        // Those of encrypted overlays travel inside WireGuard: UDP 4789 may be closed to them.
        foreach (Network network in catalog.View.Networks.Values.Where(n => IntentBuilder.IsMaterialised(n) && !IntentBuilder.IsEncrypted(n)))
        {
            var ready = catalog.View.ParticipantsOf(network.Uid).Where(p => p.Fact.State == ObjectState.Ready).Select(p => p.Node).ToHashSet();
            if (ready.Remove(self))
            {
                nodes.UnionWith(ready);
            }
        }

        return
        [
            .. from node in nodes
               orderby node
               let member = catalog.Gossip.Members.Find(node)
               where member is { Status: not MemberStatus.Left }
               where catalog.View.Nodes.TryGetValue(node, out NodeFact? fact) && !fact.VxlanDisabled && fact.Vtep.AddressFamily == AddressFamily.InterNetwork
               select new PathPeer(node, catalog.View.Nodes[node].Vtep, member.Status == MemberStatus.Alive),
        ];
    }
}
