using System.Collections.Immutable;
using System.Net;
using Kcore.Daemon.Catalog.Facts;
using Kcore.Netlink.Wireguard;

namespace Kcore.Daemon.Dataplane.Mesh;

/// <summary>
/// Desired and observed → what to change on the WireGuard device, pure. Peers are a set: what is not in the intent goes.
/// What is right is not touched, for naming a peer again can cost it its session.
/// </summary>
internal static class MeshPlan
{
    /// <summary>Keeps sessions alive and lets a node that has lost its own (a restart) be noticed by its first handshake, seconds.</summary>
    public const ushort Keepalive = 25;

    /// <summary>A peer that has proved itself later than this is where it was heard, whatever we were told (REJECT_AFTER_TIME of WireGuard).</summary>
    private static readonly TimeSpan _fresh = TimeSpan.FromSeconds(180);

    /// <param name="told">Endpoints that were set before: one that has not changed since does not overrule where the peer was heard.</param>
    public static WireguardChange Between(
        MeshIntent desired, MeshKey key, WireguardInfo seen, IReadOnlyDictionary<WireguardKey, IPEndPoint> told, DateTimeOffset now)
    {
        Dictionary<WireguardKey, WireguardPeerInfo> known = [];
        foreach (WireguardPeerInfo peer in seen.Peers)
        {
            if (WireguardKey.TryFrom(peer.PublicKey.Span) is { } public_)
            {
                known[public_] = peer;
            }
        }

        // A key that two nodes state, or that is this node's own, is nobody's.
        MeshPeer[] wanted = [.. desired.Peers.Where(p => !p.Key.Equals(key.Public)).GroupBy(p => p.Key).Where(g => g.Count() == 1).Select(g => g.Single())];
        HashSet<WireguardKey> keys = [.. wanted.Select(p => p.Key)];
        var peers = ImmutableArray.CreateBuilder<WireguardPeerChange>();
        peers.AddRange(known.Where(k => !keys.Contains(k.Key)).OrderBy(k => k.Key.ToString(), StringComparer.Ordinal)
            .Select(k => new WireguardPeerChange(k.Value.PublicKey) { Remove = true }));
        foreach (MeshPeer peer in wanted)
        {
            if (Difference(peer, known.GetValueOrDefault(peer.Key), told, now) is { } change)
            {
                peers.Add(change);
            }
        }

        return new WireguardChange
        {
            // Spelled out: a bare null would become an empty key here.
            PrivateKey = seen.PrivateKey.Span.SequenceEqual(key.Secret.Span) ? (ReadOnlyMemory<byte>?)null : key.Secret,
            ListenPort = seen.ListenPort == MeshIntent.Port ? null : MeshIntent.Port,
            Peers = peers.DrainToImmutable(),
        };
    }

    private static WireguardPeerChange? Difference(
        MeshPeer wanted, WireguardPeerInfo? seen, IReadOnlyDictionary<WireguardKey, IPEndPoint> told, DateTimeOffset now)
    {
        var only = new IPNetwork(wanted.Address, wanted.Address.GetAddressBytes().Length * 8);
        bool roamed = seen?.LastHandshake is { } at && now - at < _fresh && told.TryGetValue(wanted.Key, out IPEndPoint? before) && before.Equals(wanted.Endpoint);
        var change = new WireguardPeerChange(wanted.Key.Bytes.ToArray())
        {
            Endpoint = wanted.Endpoint.Equals(seen?.Endpoint) || roamed ? null : wanted.Endpoint,
            AllowedIps = seen is { AllowedIps: [var allowed] } && allowed.Equals(only) ? null : [only],
            Keepalive = seen?.Keepalive == Keepalive ? null : Keepalive,
        };
        return change is { Endpoint: null, AllowedIps: null, Keepalive: null } ? null : change;
    }
}
