using Kcore.Contracts;
using Kcore.Daemon.Catalog;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Daemon.Dataplane.Mesh;
using Kcore.Daemon.Reconciliation;
using Kcore.Daemon.Storage.Events;
using Kcore.Gossip;

namespace Kcore.Daemon.Api;

/// <summary>The encrypted mesh as <c>kctl</c> sees it.</summary>
internal sealed class MeshReports(LocalNode self, MeshKeys keys, Published<MeshStatus> status, EventLog events)
{
    /// <exception cref="RefusedException">FailedPrecondition when there is no key to replace, Internal when the new one cannot be stored.</exception>
    public ChangeReceipt Rotate()
    {
        if (keys.Current.Current.Key is null)
        {
            throw new RefusedException(ErrorCode.FailedPrecondition, $"node {self.Name} has no WireGuard key: no network is encrypted", next: "kctl create network NAME --type vxlan --encryption wireguard ...");
        }

        try
        {
            MeshKey key = keys.Rotate();
            events.Add("WireguardKeyRotated", $"node {self.Name} has a new WireGuard key, {key.Public}", self.Id.ToString());
            return new ChangeReceipt("rotated", "WireGuardKey", key.Public.ToString(), self.Name);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RefusedException(ErrorCode.Internal, $"the new key could not be stored, and the old one stays: {e.Message}");
        }
    }

    /// <summary>What this node's WireGuard knows of another node.</summary>
    public DateTimeOffset? LastHandshake(NodeId node, NodeFact? fact) =>
        node != self.Id && fact?.Wireguard is { } wireguard && status.Current.Handshakes.TryGetValue(wireguard.Key, out DateTimeOffset at) ? at : null;
}
