using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

public sealed partial class RouteBatch
{
    /// <summary>ETH_P_8021Q (linux/if_ether.h).</summary>
    private const ushort Ethernet8021Q = 0x8100;

    private const ushort CreateNew = Nlm.Create | Nlm.Exclusive;
    private const byte AddressGenerationAutomatic = 0;
    private const byte AddressGenerationNone = 1;

    /// <summary>Makes a bridge. EEXIST when name or index is taken.</summary>
    public int CreateBridge(BridgeSpec spec)
    {
        Check(spec);
        return Add($"create the bridge {spec.Name}", 0, Nlm.NewLink, CreateNew, (ref writer) =>
        {
            PutLink(ref writer, spec);
            NestToken info = BeginInfo(ref writer, "bridge", out NestToken data);
            writer.PutUInt32(Ifla.BridgeStp, 0);
            writer.PutUInt32(Ifla.BridgeForwardDelay, 0);
            writer.PutByte(Ifla.BridgeSnooping, spec.MulticastSnooping ? (byte)1 : (byte)0);
            if (spec.Ageing is { } ageing)
            {
                writer.PutUInt32(Ifla.BridgeAgeing, checked((uint)(ageing.Ticks / (TimeSpan.TicksPerSecond / 100))));
            }

            writer.EndNested(data);
            writer.EndNested(info);
        });
    }

    /// <summary>Makes a VXLAN device with MTU, MAC, master, group and state in one message. EEXIST when name, index or VNI is taken.</summary>
    public int CreateVxlan(VxlanSpec spec)
    {
        Check(spec);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(spec.Vni, 0xffffffu);
        CheckMtu(spec.Mtu);
        return Add($"create the VXLAN device {spec.Name}", 0, Nlm.NewLink, CreateNew, (ref writer) =>
        {
            PutLink(ref writer, spec);
            PutMtu(ref writer, spec.Mtu);
            NestToken info = BeginInfo(ref writer, "vxlan", out NestToken data);
            writer.PutUInt32(Ifla.VxlanId, spec.Vni);
            PutLocal(ref writer, spec.Local);
            if (spec.Underlay is { } underlay)
            {
                writer.PutInt32(Ifla.VxlanLink, underlay);
            }

            writer.PutByte(Ifla.VxlanTtl, spec.Ttl);
            writer.PutByte(Ifla.VxlanLearning, 0);
            writer.PutUInt16BigEndian(Ifla.VxlanPort, spec.Port);
            writer.EndNested(data);
            writer.EndNested(info);
        });
    }

    /// <summary>Makes an 802.1Q device. EEXIST when name, index or the id on this parent is taken; EOPNOTSUPP without VLANs in the kernel.</summary>
    public int CreateVlan(VlanSpec spec)
    {
        Check(spec);
        CheckIndex(spec.Parent);
        CheckMtu(spec.Mtu);
        ArgumentOutOfRangeException.ThrowIfZero(spec.Id);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(spec.Id, (ushort)4094);
        return Add($"create the VLAN device {spec.Name}", 0, Nlm.NewLink, CreateNew, (ref writer) =>
        {
            PutLink(ref writer, spec);
            writer.PutInt32(Ifla.Link, spec.Parent);
            PutMtu(ref writer, spec.Mtu);
            NestToken info = BeginInfo(ref writer, "vlan", out NestToken data);
            writer.PutUInt16(Ifla.VlanId, spec.Id);
            writer.PutUInt16BigEndian(Ifla.VlanProtocol, Ethernet8021Q);
            writer.EndNested(data);
            writer.EndNested(info);
        });
    }

    /// <summary>Makes a WireGuard device. EEXIST when name or index is taken; EOPNOTSUPP without WireGuard in the kernel.</summary>
    public int CreateWireguard(WireguardSpec spec)
    {
        Check(spec);
        CheckMtu(spec.Mtu);
        return Add($"create the WireGuard device {spec.Name}", 0, Nlm.NewLink, CreateNew, (ref writer) =>
        {
            PutLink(ref writer, spec);
            PutMtu(ref writer, spec.Mtu);
            NestToken info = BeginInfo(ref writer, "wireguard", out NestToken data);
            writer.EndNested(data);
            writer.EndNested(info);
        });
    }

    /// <summary>Changes a live VXLAN device; index and forwarding entries survive.</summary>
    public int ChangeVxlan(int linkIndex, VxlanChange change)
    {
        CheckIndex(linkIndex);
        return Add("change the VXLAN device", linkIndex, Nlm.NewLink, 0, (ref writer) =>
        {
            PutLinkBody(ref writer, linkIndex, null);
            NestToken info = BeginInfo(ref writer, "vxlan", out NestToken data);
            if (change.Local is { } local)
            {
                PutLocal(ref writer, local);
            }

            if (change.Underlay is { } underlay)
            {
                writer.PutInt32(Ifla.VxlanLink, underlay);
            }

            if (change.Ttl is { } ttl)
            {
                writer.PutByte(Ifla.VxlanTtl, ttl);
            }

            if (change.Learning is { } learning)
            {
                writer.PutByte(Ifla.VxlanLearning, learning ? (byte)1 : (byte)0);
            }

            writer.EndNested(data);
            writer.EndNested(info);
        });
    }

    /// <summary>Makes a virtual Ethernet pair; the peer is born in its namespace and never seen in this one.</summary>
    public int CreateVeth(VethSpec spec)
    {
        Check(spec);
        CheckName(spec.PeerName);
        CheckMtu(spec.Mtu);
        CheckMtu(spec.PeerMtu);
        return Add($"create the virtual Ethernet pair {spec.Name}", 0, Nlm.NewLink, CreateNew, (ref writer) =>
        {
            PutLink(ref writer, spec);
            PutMtu(ref writer, spec.Mtu);
            NestToken info = BeginInfo(ref writer, "veth", out NestToken data);
            NestToken peer = writer.BeginNested(Ifla.VethPeer, marked: false);
            PutLinkBody(ref writer, spec.PeerIndex, null);
            writer.PutString(Ifla.Name, spec.PeerName);
            if (spec.PeerMac is { } mac)
            {
                writer.PutMac(Ifla.Address, mac);
            }

            PutMtu(ref writer, spec.PeerMtu);
            if (spec.PeerNamespace is { } ns)
            {
                PutNamespace(ref writer, ns);
            }

            writer.EndNested(peer);
            writer.EndNested(data);
            writer.EndNested(info);
        });
    }

    /// <summary>Changes a link: MTU, state, master, group, alias, MAC, name, namespace, all in one message.</summary>
    public int ChangeLink(int linkIndex, LinkChange change)
    {
        CheckIndex(linkIndex);
        CheckMtu(change.Mtu);
        if (change.Name is not null)
        {
            CheckName(change.Name);
        }

        return Add("change the link", linkIndex, Nlm.SetLink, 0, (ref writer) =>
        {
            PutLinkBody(ref writer, linkIndex, change.Up);
            if (change.Name is { } name)
            {
                writer.PutString(Ifla.Name, name);
            }

            if (change.Mac is { } mac)
            {
                writer.PutMac(Ifla.Address, mac);
            }

            PutMtu(ref writer, change.Mtu);
            if (change.Master is { } master)
            {
                writer.PutInt32(Ifla.Master, master);
            }

            if (change.Alias is { } alias)
            {
                PutAlias(ref writer, alias);
            }

            if (change.Group is { } group)
            {
                writer.PutUInt32(Ifla.Group, group);
            }

            if (change.GenerateIpv6Address is { } generate)
            {
                NestToken families = writer.BeginNested(Ifla.AddressFamilies);
                NestToken inet6 = writer.BeginNested(Ifla.Inet6);
                writer.PutByte(
                    Ifla.Inet6AddressGeneration, generate ? AddressGenerationAutomatic : AddressGenerationNone);
                writer.EndNested(inet6);
                writer.EndNested(families);
            }

            if (change.Namespace is { } ns)
            {
                PutNamespace(ref writer, ns);
            }
        });
    }

    /// <summary>Sets flags of a bridge port. The kernel takes them neither at creation nor together with <see cref="ChangeLink"/>.</summary>
    public int ChangeBridgePort(int linkIndex, BridgePortChange change)
    {
        CheckIndex(linkIndex);
        return Add("change the bridge port", linkIndex, Nlm.SetLink, 0, (ref writer) =>
        {
            Span<byte> body = writer.Take(Ifla.BodyBytes);
            body[0] = Family.Bridge;
            BinaryPrimitives.WriteInt32LittleEndian(body[4..], linkIndex);
            NestToken info = writer.BeginNested(Ifla.ProtocolInfo);
            PutFlag(ref writer, Ifla.PortHairpin, change.Hairpin);
            PutFlag(ref writer, Ifla.PortGuard, change.BpduGuard);
            PutFlag(ref writer, Ifla.PortLearning, change.Learning);
            PutFlag(ref writer, Ifla.PortUnicastFlood, change.UnicastFlood);
            PutFlag(ref writer, Ifla.PortMulticastFlood, change.MulticastFlood);
            PutFlag(ref writer, Ifla.PortBroadcastFlood, change.BroadcastFlood);
            PutFlag(ref writer, Ifla.PortNeighbourSuppress, change.NeighbourSuppress);
            PutFlag(ref writer, Ifla.PortIsolated, change.Isolated);
            PutFlag(ref writer, Ifla.PortLocked, change.Locked);
            writer.EndNested(info);
        });
    }

    /// <summary>Adds an alternative name of up to 127 bytes. EEXIST when any link has it.</summary>
    public int AddAltName(int linkIndex, string name)
    {
        CheckIndex(linkIndex);
        LinkName.CheckAlternative(name);
        return Add("add an alternative name", linkIndex, Nlm.NewLinkProperty, CreateNew | Nlm.Append, (ref writer) =>
        {
            PutLinkBody(ref writer, linkIndex, null);
            NestToken list = writer.BeginNested(Ifla.PropertyList);
            writer.PutString(Ifla.AlternativeName, name);
            writer.EndNested(list);
        });
    }

    /// <summary>Deletes a link. ENODEV when it is gone already; EOPNOTSUPP for hardware.</summary>
    public int DeleteLink(int linkIndex)
    {
        CheckIndex(linkIndex);
        return Add("delete the link", linkIndex, Nlm.DelLink, 0, (ref writer) => PutLinkBody(ref writer, linkIndex, null));
    }

    private static void Check(LinkSpec spec)
    {
        CheckName(spec.Name);
        ArgumentOutOfRangeException.ThrowIfNegative(spec.Index);
    }

    private static void CheckName(string name) => LinkName.Check(name);

    private static void CheckIndex(int linkIndex) => ArgumentOutOfRangeException.ThrowIfNegativeOrZero(linkIndex);

    private static void CheckMtu(int? mtu)
    {
        if (mtu is { } bytes)
        {
            // The kernel's floor for IPv4 (ETH_MIN_MTU); the ceiling is the device's and the kernel names it.
            ArgumentOutOfRangeException.ThrowIfLessThan(bytes, 68);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes, ushort.MaxValue);
        }
    }

    private static void PutLink(ref MessageWriter writer, LinkSpec spec)
    {
        PutLinkBody(ref writer, spec.Index, spec.Up ? true : null);
        writer.PutString(Ifla.Name, spec.Name);
        if (spec.Mac is { } mac)
        {
            writer.PutMac(Ifla.Address, mac);
        }

        if (spec.Master is { } master)
        {
            writer.PutInt32(Ifla.Master, master);
        }

        writer.PutUInt32(Ifla.Group, spec.Group);
    }

    /// <summary><c>struct ifinfomsg</c>: family, pad, type, index, flags, change mask.</summary>
    private static void PutLinkBody(ref MessageWriter writer, int index, bool? up)
    {
        Span<byte> body = writer.Take(Ifla.BodyBytes);
        BinaryPrimitives.WriteInt32LittleEndian(body[4..], index);
        if (up is { } value)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(body[8..], value ? (uint)LinkFlags.Up : 0);
            BinaryPrimitives.WriteUInt32LittleEndian(body[12..], (uint)LinkFlags.Up);
        }
    }

    private static NestToken BeginInfo(ref MessageWriter writer, string kind, out NestToken data)
    {
        NestToken info = writer.BeginNested(Ifla.LinkInfo);
        writer.PutString(Ifla.InfoKind, kind);
        data = writer.BeginNested(Ifla.InfoData);
        return info;
    }

    private static void PutMtu(ref MessageWriter writer, int? mtu)
    {
        if (mtu is { } bytes)
        {
            writer.PutInt32(Ifla.Mtu, bytes);
        }
    }

    private static void PutLocal(ref MessageWriter writer, IPAddress local) =>
        writer.PutAddress(
            local.AddressFamily == AddressFamily.InterNetwork ? Ifla.VxlanLocal : Ifla.VxlanLocal6, local);

    private static void PutFlag(ref MessageWriter writer, ushort type, bool? value)
    {
        if (value is { } flag)
        {
            writer.PutByte(type, flag ? (byte)1 : (byte)0);
        }
    }

    /// <summary>
    /// The kernel takes 255 bytes (IFALIASZ less one); a single zero byte, unlike no byte at all, does not clear the
    /// alias, so an empty one is sent without the terminator.
    /// </summary>
    private static void PutAlias(ref MessageWriter writer, string alias)
    {
        byte[] bytes = System.Text.Encoding.UTF8.GetBytes(alias);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(bytes.Length, 255, nameof(alias));
        writer.Put(Ifla.Alias, bytes);
    }
}
