namespace Kcore.Netlink.Messages;

/// <summary>Message types and flags (linux/netlink.h, linux/rtnetlink.h).</summary>
internal static class Nlm
{
    internal const ushort Error = 2;
    internal const ushort Done = 3;
    internal const ushort Overrun = 4;
    internal const ushort NewLink = 16;
    internal const ushort DelLink = 17;
    internal const ushort GetLink = 18;
    internal const ushort SetLink = 19;
    internal const ushort NewAddress = 20;
    internal const ushort DelAddress = 21;
    internal const ushort GetAddress = 22;
    internal const ushort NewRoute = 24;
    internal const ushort DelRoute = 25;
    internal const ushort GetRoute = 26;
    internal const ushort NewNeighbour = 28;
    internal const ushort DelNeighbour = 29;
    internal const ushort GetNeighbour = 30;
    internal const ushort NewLinkProperty = 108;

    internal const ushort Request = 0x1;
    internal const ushort Ack = 0x4;
    internal const ushort DumpInterrupted = 0x10;
    internal const ushort Dump = 0x300;
    internal const ushort Capped = 0x100;
    internal const ushort AckAttributes = 0x200;
    internal const ushort Replace = 0x100;
    internal const ushort Exclusive = 0x200;
    internal const ushort Create = 0x400;
    internal const ushort Append = 0x800;

    internal const ushort ErrorText = 1;
    internal const ushort ErrorOffset = 2;
}

/// <summary>IFLA_* (linux/if_link.h).</summary>
internal static class Ifla
{
    internal const int BodyBytes = 16;

    internal const ushort Address = 1;
    internal const ushort Name = 3;
    internal const ushort Mtu = 4;
    internal const ushort Link = 5;
    internal const ushort Master = 10;
    internal const ushort ProtocolInfo = 12;
    internal const ushort OperationalState = 16;
    internal const ushort LinkInfo = 18;
    internal const ushort Alias = 20;
    internal const ushort AddressFamilies = 26;
    internal const ushort Group = 27;
    internal const ushort NamespaceDescriptor = 28;
    internal const ushort LinkNamespaceId = 37;
    internal const ushort PropertyList = 52;
    internal const ushort AlternativeName = 53;

    internal const ushort InfoKind = 1;
    internal const ushort InfoData = 2;
    internal const ushort InfoPortKind = 4;
    internal const ushort InfoPortData = 5;

    internal const ushort Inet = 2;
    internal const ushort InetSettings = 1;
    internal const ushort Inet6 = 10;
    internal const ushort Inet6Settings = 2;
    internal const ushort Inet6AddressGeneration = 8;

    internal const ushort VethPeer = 1;

    internal const ushort BridgeForwardDelay = 1;
    internal const ushort BridgeAgeing = 4;
    internal const ushort BridgeStp = 5;
    internal const ushort BridgeSnooping = 23;

    internal const ushort VlanId = 1;
    internal const ushort VlanProtocol = 5;

    internal const ushort VxlanId = 1;
    internal const ushort VxlanGroup = 2;
    internal const ushort VxlanLink = 3;
    internal const ushort VxlanLocal = 4;
    internal const ushort VxlanTtl = 5;
    internal const ushort VxlanLearning = 7;
    internal const ushort VxlanAgeing = 8;
    internal const ushort VxlanProxy = 11;
    internal const ushort VxlanPort = 15;
    internal const ushort VxlanGroup6 = 16;
    internal const ushort VxlanLocal6 = 17;
    internal const ushort VxlanMetadata = 25;

    internal const ushort PortHairpin = 4;
    internal const ushort PortGuard = 5;
    internal const ushort PortLearning = 8;
    internal const ushort PortUnicastFlood = 9;
    internal const ushort PortMulticastFlood = 27;
    internal const ushort PortBroadcastFlood = 30;
    internal const ushort PortNeighbourSuppress = 32;
    internal const ushort PortIsolated = 33;
    internal const ushort PortLocked = 39;
}

/// <summary>NDA_* (linux/neighbour.h).</summary>
internal static class Nda
{
    internal const int BodyBytes = 12;

    internal const ushort Destination = 1;
    internal const ushort LinkAddress = 2;
    internal const ushort Vlan = 5;
    internal const ushort Port = 6;
    internal const ushort Vni = 7;
    internal const ushort LinkIndex = 8;
    internal const ushort Master = 9;
    internal const ushort Protocol = 12;
}

/// <summary>IFA_* (linux/if_addr.h).</summary>
internal static class Ifa
{
    internal const int BodyBytes = 8;

    internal const ushort Address = 1;
    internal const ushort Local = 2;
    internal const ushort Flags = 8;
    internal const ushort Protocol = 11;
}

/// <summary>RTA_* and RTN_* (linux/rtnetlink.h).</summary>
internal static class Rta
{
    internal const int BodyBytes = 12;
    internal const int NextHopBodyBytes = 8;

    internal const ushort Destination = 1;
    internal const ushort OutgoingLink = 4;
    internal const ushort Gateway = 5;
    internal const ushort Priority = 6;
    internal const ushort PreferredSource = 7;
    internal const ushort MultiPath = 9;
    internal const ushort Table = 15;
}

/// <summary>Generic netlink and its controller (linux/genetlink.h).</summary>
internal static class Genl
{
    internal const int BodyBytes = 4;

    internal const ushort Controller = 0x10;
    internal const byte GetFamily = 3;
    internal const byte ControllerVersion = 2;
    internal const ushort FamilyId = 1;
    internal const ushort FamilyName = 2;
}

/// <summary>WG_CMD_*, WGDEVICE_A_*, WGPEER_A_*, WGALLOWEDIP_A_* and their flags (linux/wireguard.h).</summary>
internal static class Wg
{
    internal const byte Version = 1;
    internal const byte GetDevice = 0;
    internal const byte SetDevice = 1;

    internal const ushort DeviceName = 2;
    internal const ushort PrivateKey = 3;
    internal const ushort ListenPort = 6;
    internal const ushort Peers = 8;

    internal const ushort PeerPublicKey = 1;
    internal const ushort PeerFlags = 3;
    internal const ushort PeerEndpoint = 4;
    internal const ushort PeerKeepalive = 5;
    internal const ushort PeerLastHandshake = 6;
    internal const ushort PeerAllowedIps = 9;

    internal const uint PeerRemove = 1;
    internal const uint PeerReplaceAllowedIps = 2;

    internal const ushort AllowedFamily = 1;
    internal const ushort AllowedAddress = 2;
    internal const ushort AllowedMask = 3;
}

/// <summary>Address families as netlink bodies carry them (linux/socket.h).</summary>
internal static class Family
{
    internal const byte Unspecified = 0;
    internal const byte Inet = 2;
    internal const byte Bridge = 7;
    internal const byte Inet6 = 10;
}
