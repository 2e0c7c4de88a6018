using System.Collections.Immutable;
using System.Net;

namespace Kcore.Netlink.Wireguard;

/// <summary>A WireGuard device as it is.</summary>
/// <param name="PrivateKey">Empty when it has none.</param>
/// <param name="ListenPort">UDP; 0 when it was never set.</param>
public sealed record WireguardInfo(ReadOnlyMemory<byte> PrivateKey, ushort ListenPort, ImmutableArray<WireguardPeerInfo> Peers);

/// <param name="PublicKey">32 bytes.</param>
/// <param name="Endpoint">Where it was heard last, or where we were told it is.</param>
/// <param name="AllowedIps">The addresses it may send from, and that lead to it.</param>
/// <param name="Keepalive">Seconds; 0 is off.</param>
/// <param name="LastHandshake">Null when there was none.</param>
public sealed record WireguardPeerInfo(
    ReadOnlyMemory<byte> PublicKey, IPEndPoint? Endpoint, ImmutableArray<IPNetwork> AllowedIps, ushort Keepalive, DateTimeOffset? LastHandshake);

/// <summary>What is to be changed on a device; what is null stays.</summary>
public sealed record WireguardChange
{
    /// <summary>32 bytes.</summary>
    public ReadOnlyMemory<byte>? PrivateKey { get; init; }

    public ushort? ListenPort { get; init; }

    /// <summary>Peers that are not named stay as they are.</summary>
    public ImmutableArray<WireguardPeerChange> Peers { get; init; } = [];

    public bool IsEmpty => PrivateKey is null && ListenPort is null && Peers.IsEmpty;
}

/// <summary>One peer is made or changed, or it goes.</summary>
/// <param name="PublicKey">32 bytes.</param>
public sealed record WireguardPeerChange(ReadOnlyMemory<byte> PublicKey)
{
    /// <summary>The peer goes; nothing else counts then.</summary>
    public bool Remove { get; init; }

    public IPEndPoint? Endpoint { get; init; }

    /// <summary>Replaces the addresses it had.</summary>
    public ImmutableArray<IPNetwork>? AllowedIps { get; init; }

    /// <summary>Seconds.</summary>
    public ushort? Keepalive { get; init; }
}
