using System.Buffers.Binary;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

/// <summary>RTM_NEWLINK and RTM_DELLINK to <see cref="LinkInfo"/>.</summary>
internal static class LinkDecoder
{
    /// <summary>Family of the message: a bridge port's own notifications come with AF_BRIDGE.</summary>
    internal static byte FamilyOf(scoped in NetlinkMessage message) => message.Body(Ifla.BodyBytes)[0];

    internal static LinkInfo Decode(scoped in NetlinkMessage message)
    {
        ReadOnlySpan<byte> body = message.Body(Ifla.BodyBytes);
        var link = new LinkInfo
        {
            Index = BinaryPrimitives.ReadInt32LittleEndian(body[4..]),
            HardwareType = BinaryPrimitives.ReadUInt16LittleEndian(body[2..]),
            Flags = (LinkFlags)BinaryPrimitives.ReadUInt32LittleEndian(body[8..]),
            Name = "",
        };

        AttributeReader attributes = message.Attributes(Ifla.BodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            link = attribute.Type switch
            {
                Ifla.Name => link with { Name = attribute.AsString() },
                Ifla.Address => link with { Mac = attribute.AsMac() },
                Ifla.Mtu => link with { Mtu = attribute.AsInt32() },
                Ifla.Link => link with { LinkedIndex = Index(attribute) },
                Ifla.LinkNamespaceId => link with { LinkNamespaceId = attribute.AsInt32() },
                Ifla.Master => link with { Master = Index(attribute) },
                Ifla.Group => link with { Group = attribute.AsUInt32() },
                Ifla.Alias => link with { Alias = attribute.AsString() },
                Ifla.OperationalState => link with { OperationalState = attribute.AsByte() },
                Ifla.PropertyList => link with { AltNames = AltNames(attribute.Nested) },
                Ifla.LinkInfo => WithInfo(link, attribute.Nested),
                Ifla.AddressFamilies => link with { Settings = Settings(attribute.Nested) },
                _ => link,
            };
        }

        return link;
    }

    /// <summary>
    /// IFLA_AF_SPEC has the whole arrays of both families, whose places linux/ip.h (counted from 1) and linux/ipv6.h (from 0) number. In
    /// the messages of bridge ports it is something else.
    /// </summary>
    private static LinkSettings Settings(AttributeReader families)
    {
        const int reversePathFilter = 8 - 1, arpIgnore = 19 - 1, acceptRouterAdvertisements = 3, disableIpv6 = 26;
        LinkSettings settings = default;
        while (families.TryRead(out NetlinkAttribute family))
        {
            AttributeReader nested = family.Nested;
            while (family.Type is Ifla.Inet or Ifla.Inet6 && nested.TryRead(out NetlinkAttribute attribute))
            {
                settings = (family.Type, attribute.Type) switch
                {
                    (Ifla.Inet, Ifla.InetSettings) => settings with { ReversePathFilter = Place(attribute, reversePathFilter), ArpIgnore = Place(attribute, arpIgnore) },
                    (Ifla.Inet6, Ifla.Inet6Settings) => settings with
                    {
                        AcceptRouterAdvertisements = Place(attribute, acceptRouterAdvertisements),
                        DisableIpv6 = Place(attribute, disableIpv6),
                    },
                    _ => settings,
                };
            }
        }

        return settings;
    }

    private static int? Place(NetlinkAttribute array, int place) =>
        array.Value.Length >= (place + 1) * 4 ? BinaryPrimitives.ReadInt32LittleEndian(array.Value[(place * 4)..]) : null;

    private static int? Index(NetlinkAttribute attribute) => attribute.AsInt32() is var index and not 0 ? index : null;

    private static System.Collections.Immutable.ImmutableArray<string> AltNames(AttributeReader list)
    {
        List<string> names = [];
        while (list.TryRead(out NetlinkAttribute attribute))
        {
            if (attribute.Type == Ifla.AlternativeName)
            {
                names.Add(attribute.AsString());
            }
        }

        return [.. names];
    }

    private static LinkInfo WithInfo(LinkInfo link, AttributeReader info)
    {
        string? kind = null;
        string? portKind = null;
        AttributeReader data = default;
        AttributeReader portData = default;
        while (info.TryRead(out NetlinkAttribute attribute))
        {
            switch (attribute.Type)
            {
                case Ifla.InfoKind:
                    kind = attribute.AsString();
                    break;
                case Ifla.InfoData:
                    data = attribute.Nested;
                    break;
                case Ifla.InfoPortKind:
                    portKind = attribute.AsString();
                    break;
                case Ifla.InfoPortData:
                    portData = attribute.Nested;
                    break;
            }
        }

        return link with
        {
            Kind = kind,
            Bridge = kind == "bridge" ? Bridge(data) : null,
            Vxlan = kind == "vxlan" ? Vxlan(data) : null,
            Vlan = kind == "vlan" ? Vlan(data) : null,
            Port = portKind == "bridge" ? Port(portData) : null,
        };
    }

    private static BridgeInfo Bridge(AttributeReader data)
    {
        var bridge = new BridgeInfo(false, 0, false, 0);
        while (data.TryRead(out NetlinkAttribute attribute))
        {
            bridge = attribute.Type switch
            {
                Ifla.BridgeStp => bridge with { Stp = attribute.AsUInt32() != 0 },
                Ifla.BridgeForwardDelay => bridge with { ForwardDelay = attribute.AsUInt32() },
                Ifla.BridgeSnooping => bridge with { MulticastSnooping = attribute.AsByte() != 0 },
                Ifla.BridgeAgeing => bridge with { Ageing = attribute.AsUInt32() },
                _ => bridge,
            };
        }

        return bridge;
    }

    private static VlanInfo Vlan(AttributeReader data)
    {
        var vlan = new VlanInfo(0, 0);
        while (data.TryRead(out NetlinkAttribute attribute))
        {
            vlan = attribute.Type switch
            {
                Ifla.VlanId => vlan with { Id = attribute.AsUInt16() },
                Ifla.VlanProtocol => vlan with { Protocol = attribute.AsUInt16BigEndian() },
                _ => vlan,
            };
        }

        return vlan;
    }

    private static VxlanInfo Vxlan(AttributeReader data)
    {
        var vxlan = new VxlanInfo();
        while (data.TryRead(out NetlinkAttribute attribute))
        {
            vxlan = attribute.Type switch
            {
                Ifla.VxlanId => vxlan with { Vni = attribute.AsUInt32() },
                Ifla.VxlanLocal or Ifla.VxlanLocal6 => vxlan with { Local = attribute.AsAddress() },
                Ifla.VxlanGroup or Ifla.VxlanGroup6 => vxlan with { Remote = attribute.AsAddress() },
                Ifla.VxlanPort => vxlan with { Port = attribute.AsUInt16BigEndian() },
                Ifla.VxlanLearning => vxlan with { Learning = attribute.AsByte() != 0 },
                Ifla.VxlanTtl => vxlan with { Ttl = attribute.AsByte() },
                Ifla.VxlanLink => vxlan with { Underlay = Index(attribute) },
                Ifla.VxlanProxy => vxlan with { Proxy = attribute.AsByte() != 0 },
                Ifla.VxlanMetadata => vxlan with { CollectMetadata = attribute.AsByte() != 0 },
                _ => vxlan,
            };
        }

        return vxlan;
    }

    private static BridgePortInfo Port(AttributeReader data)
    {
        var port = new BridgePortInfo();
        while (data.TryRead(out NetlinkAttribute attribute))
        {
            port = attribute.Type switch
            {
                Ifla.PortHairpin => port with { Hairpin = attribute.AsByte() != 0 },
                Ifla.PortGuard => port with { BpduGuard = attribute.AsByte() != 0 },
                Ifla.PortLearning => port with { Learning = attribute.AsByte() != 0 },
                Ifla.PortUnicastFlood => port with { UnicastFlood = attribute.AsByte() != 0 },
                Ifla.PortMulticastFlood => port with { MulticastFlood = attribute.AsByte() != 0 },
                Ifla.PortBroadcastFlood => port with { BroadcastFlood = attribute.AsByte() != 0 },
                Ifla.PortNeighbourSuppress => port with { NeighbourSuppress = attribute.AsByte() != 0 },
                Ifla.PortIsolated => port with { Isolated = attribute.AsByte() != 0 },
                Ifla.PortLocked => port with { Locked = attribute.AsByte() != 0 },
                _ => port,
            };
        }

        return port;
    }
}
