using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Wireguard;

/// <summary>Bytes of the generic netlink families "nlctrl" and "wireguard" (linux/genetlink.h, linux/wireguard.h).</summary>
internal static class WireguardMessages
{
    internal const string FamilyName = "wireguard";

    /// <summary>A peer is at most some 130 bytes; the nest that holds them has a length of 16 bits.</summary>
    internal const int PeersPerMessageMax = 256;

    private const ushort AddressFamilyInet = 2;
    private const ushort AddressFamilyInet6 = 10;

    internal static ReadOnlySpan<byte> GetFamily(Span<byte> buffer)
    {
        MessageWriter writer = Begin(buffer, Genl.Controller, Nlm.Request, Genl.GetFamily, Genl.ControllerVersion);
        writer.PutString(Genl.FamilyName, FamilyName);
        return writer.Finish();
    }

    internal static ReadOnlySpan<byte> GetDevice(Span<byte> buffer, ushort family, string device)
    {
        MessageWriter writer = Begin(buffer, family, Nlm.Request | Nlm.Dump, Wg.GetDevice, Wg.Version);
        writer.PutString(Wg.DeviceName, device);
        return writer.Finish();
    }

    internal static ReadOnlySpan<byte> SetDevice(Span<byte> buffer, ushort family, string device, WireguardChange change)
    {
        MessageWriter writer = Begin(buffer, family, Nlm.Request | Nlm.Ack, Wg.SetDevice, Wg.Version);
        writer.PutString(Wg.DeviceName, device);
        if (change.PrivateKey is { } key)
        {
            writer.Put(Wg.PrivateKey, key.Span);
        }

        if (change.ListenPort is { } port)
        {
            writer.PutUInt16(Wg.ListenPort, port);
        }

        if (!change.Peers.IsEmpty)
        {
            NestToken peers = writer.BeginNested(Wg.Peers);
            foreach (WireguardPeerChange peer in change.Peers)
            {
                PutPeer(ref writer, peer);
            }

            writer.EndNested(peers);
        }

        return writer.Finish();
    }

    /// <summary>0 when the answer names no family.</summary>
    internal static ushort FamilyId(scoped in NetlinkMessage message)
    {
        AttributeReader attributes = message.Attributes(Genl.BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            if (attribute.Type == Genl.FamilyId)
            {
                return attribute.AsUInt16();
            }
        }

        return 0;
    }

    /// <summary>Adds what one message of a dump says: many peers come in several, each with the device's name.</summary>
    internal static WireguardInfo Merge(WireguardInfo seen, scoped in NetlinkMessage message)
    {
        ImmutableArray<WireguardPeerInfo>.Builder peers = seen.Peers.ToBuilder();
        AttributeReader attributes = message.Attributes(Genl.BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            switch (attribute.Type)
            {
                case Wg.PrivateKey:
                    seen = seen with { PrivateKey = attribute.Value.ToArray() };
                    break;
                case Wg.ListenPort:
                    seen = seen with { ListenPort = attribute.AsUInt16() };
                    break;
                case Wg.Peers:
                    AttributeReader list = attribute.Nested;
                    while (list.TryRead(out NetlinkAttribute peer))
                    {
                        Merge(peers, ReadPeer(peer.Nested));
                    }

                    break;
            }
        }

        return seen with { Peers = peers.DrainToImmutable() };
    }

    /// <summary>A peer whose addresses do not fit one message goes on in the next.</summary>
    private static void Merge(ImmutableArray<WireguardPeerInfo>.Builder peers, WireguardPeerInfo peer)
    {
        if (peers.Count > 0 && peers[^1].PublicKey.Span.SequenceEqual(peer.PublicKey.Span))
        {
            peers[^1] = peers[^1] with { AllowedIps = [.. peers[^1].AllowedIps, .. peer.AllowedIps] };
        }
        else
        {
            peers.Add(peer);
        }
    }

    private static WireguardPeerInfo ReadPeer(AttributeReader attributes)
    {
        var read = new WireguardPeerInfo(default, null, [], 0, null);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            switch (attribute.Type)
            {
                case Wg.PeerPublicKey:
                    read = read with { PublicKey = attribute.Value.ToArray() };
                    break;
                case Wg.PeerEndpoint:
                    read = read with { Endpoint = ReadEndpoint(attribute.Value) };
                    break;
                case Wg.PeerKeepalive:
                    read = read with { Keepalive = attribute.AsUInt16() };
                    break;
                case Wg.PeerLastHandshake when attribute.Value.Length >= sizeof(long):
                    long seconds = BinaryPrimitives.ReadInt64LittleEndian(attribute.Value);
                    read = read with { LastHandshake = HandshakeAt(seconds) };
                    break;
                case Wg.PeerAllowedIps:
                    ImmutableArray<IPNetwork>.Builder allowed = ImmutableArray.CreateBuilder<IPNetwork>();
                    AttributeReader list = attribute.Nested;
                    while (list.TryRead(out NetlinkAttribute entry))
                    {
                        allowed.Add(ReadAllowed(entry.Nested));
                    }

                    read = read with { AllowedIps = allowed.DrainToImmutable() };
                    break;
            }
        }

        return read.PublicKey.Length == 32 ? read : throw NetlinkException.Malformed("a WireGuard peer has no key");
    }

    /// <summary>Null for 0, which means never, and for what no clock says.</summary>
    private static DateTimeOffset? HandshakeAt(long seconds) =>
        seconds is > 0 and < 253_402_300_800 ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null;

    private static IPNetwork ReadAllowed(AttributeReader attributes)
    {
        IPAddress? address = null;
        byte? mask = null;
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            switch (attribute.Type)
            {
                case Wg.AllowedAddress:
                    address = attribute.AsAddress();
                    break;
                case Wg.AllowedMask:
                    mask = attribute.AsByte();
                    break;
            }
        }

        try
        {
            return new IPNetwork(address ?? throw NetlinkException.Malformed("an allowed address is missing"), mask ?? throw NetlinkException.Malformed("the length of an allowed address is missing"));
        }
        catch (ArgumentException)
        {
            throw NetlinkException.Malformed($"{address}/{mask} is no subnet");
        }
    }

    /// <summary><c>struct sockaddr_in</c> or <c>sockaddr_in6</c>; null for another family.</summary>
    private static IPEndPoint? ReadEndpoint(ReadOnlySpan<byte> value) => value.Length < 2 ? null : BinaryPrimitives.ReadUInt16LittleEndian(value) switch
    {
        AddressFamilyInet when value.Length >= 8 => new IPEndPoint(new IPAddress(value[4..8]), BinaryPrimitives.ReadUInt16BigEndian(value[2..])),
        AddressFamilyInet6 when value.Length >= 28 => new IPEndPoint(
            new IPAddress(value[8..24], BinaryPrimitives.ReadUInt32LittleEndian(value[24..])), BinaryPrimitives.ReadUInt16BigEndian(value[2..])),
        _ => null,
    };

    private static void PutPeer(ref MessageWriter writer, WireguardPeerChange peer)
    {
        NestToken nest = writer.BeginNested(0);
        writer.Put(Wg.PeerPublicKey, peer.PublicKey.Span);
        uint flags = peer.Remove ? Wg.PeerRemove : peer.AllowedIps is null ? 0 : Wg.PeerReplaceAllowedIps;
        if (flags != 0)
        {
            writer.PutUInt32(Wg.PeerFlags, flags);
        }

        if (!peer.Remove)
        {
            if (peer.Endpoint is { } endpoint)
            {
                PutEndpoint(ref writer, endpoint);
            }

            if (peer.Keepalive is { } keepalive)
            {
                writer.PutUInt16(Wg.PeerKeepalive, keepalive);
            }

            if (peer.AllowedIps is { } allowed)
            {
                NestToken list = writer.BeginNested(Wg.PeerAllowedIps);
                foreach (IPNetwork network in allowed)
                {
                    NestToken entry = writer.BeginNested(0);
                    writer.PutUInt16(Wg.AllowedFamily, network.BaseAddress.AddressFamily == AddressFamily.InterNetworkV6 ? AddressFamilyInet6 : AddressFamilyInet);
                    writer.PutAddress(Wg.AllowedAddress, network.BaseAddress);
                    writer.PutByte(Wg.AllowedMask, (byte)network.PrefixLength);
                    writer.EndNested(entry);
                }

                writer.EndNested(list);
            }
        }

        writer.EndNested(nest);
    }

    private static void PutEndpoint(ref MessageWriter writer, IPEndPoint endpoint)
    {
        bool v6 = endpoint.AddressFamily == AddressFamily.InterNetworkV6;
        Span<byte> address = stackalloc byte[v6 ? 28 : 16];
        address.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(address, v6 ? AddressFamilyInet6 : AddressFamilyInet);
        BinaryPrimitives.WriteUInt16BigEndian(address[2..], (ushort)endpoint.Port);
        endpoint.Address.GetAddressBytes().CopyTo(address[(v6 ? 8 : 4)..]);
        if (v6)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(address[24..], (uint)endpoint.Address.ScopeId);
        }

        writer.Put(Wg.PeerEndpoint, address);
    }

    private static MessageWriter Begin(Span<byte> buffer, ushort type, int flags, byte command, byte version)
    {
        var writer = new MessageWriter(buffer, type, (ushort)flags);
        Span<byte> body = writer.Take(Genl.BodyBytes);
        body[0] = command;
        body[1] = version;
        return writer;
    }
}
