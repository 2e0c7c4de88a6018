using System.Buffers.Binary;
using Kcore.Netlink.Messages;
using Kcore.Netlink.Route;

namespace Kcore.Netlink.Monitor;

/// <summary>Notifications of rtnetlink and nfnetlink to <see cref="KernelChange"/>.</summary>
internal static class ChangeDecoder
{
    private const int NftablesSubsystem = 10;
    private const int NetfilterBodyBytes = 4;

    /// <summary>RTM_NEWNETCONF; its body is one byte, padded (linux/netconf.h).</summary>
    private const ushort NewNetworkSetting = 80;
    private const int SettingBodyBytes = 4;

    /// <summary>Appends what a datagram says; one that cannot be understood becomes a resync.</summary>
    internal static void Decode(ReadOnlySpan<byte> datagram, bool netfilter, List<KernelChange> changes)
    {
        try
        {
            var reader = new MessageReader(datagram);
            while (reader.TryRead(out NetlinkMessage message))
            {
                if ((netfilter ? DecodeNetfilter(message) : DecodeRoute(message)) is { } change)
                {
                    changes.Add(change);
                }
            }
        }
        catch (NetlinkException e)
        {
            changes.Add(new KernelChange.Resync(e.Message));
        }
    }

    private static KernelChange? DecodeRoute(scoped in NetlinkMessage message)
    {
        switch (message.Type)
        {
            case Nlm.NewLink or Nlm.DelLink:
                bool linkRemoved = message.Type == Nlm.DelLink;
                LinkInfo link = LinkDecoder.Decode(message);
                return LinkDecoder.FamilyOf(message) == Family.Bridge
                    ? new KernelChange.BridgePort(link.Index, link.Name, linkRemoved)
                    : new KernelChange.Link(link, linkRemoved);
            case Nlm.NewAddress or Nlm.DelAddress:
                return AddressDecoder.Decode(message) is { } address
                    ? new KernelChange.Address(address, message.Type == Nlm.DelAddress)
                    : null;
            case Nlm.NewRoute or Nlm.DelRoute:
                return RouteDecoder.Decode(message) is { } route
                    ? new KernelChange.Route(route, message.Type == Nlm.DelRoute)
                    : null;
            case Nlm.NewNeighbour or Nlm.DelNeighbour:
                return NeighbourDecoder.Decode(message) is { } neighbour
                    ? new KernelChange.Neighbour(neighbour, message.Type == Nlm.DelNeighbour)
                    : null;
            case NewNetworkSetting:
                return DecodeSetting(message);
            case Nlm.Overrun:
                return new KernelChange.Resync("the kernel reports an overrun");
            default:
                return null;
        }
    }

    /// <summary>NETCONFA_IFINDEX 1.</summary>
    private static KernelChange.Setting? DecodeSetting(scoped in NetlinkMessage message)
    {
        AttributeReader attributes = message.Attributes(SettingBodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            if (attribute.Type == 1)
            {
                return new KernelChange.Setting(attribute.AsInt32());
            }
        }

        return null;
    }

    /// <summary>Message types of linux/netfilter/nf_tables.h; in all of them attribute 1 is the table's name.</summary>
    private static KernelChange? DecodeNetfilter(scoped in NetlinkMessage message)
    {
        if (message.Type >> 8 != NftablesSubsystem)
        {
            return null;
        }

        int type = message.Type & 0xff;
        if (type == 15)
        {
            return DecodeGeneration(message);
        }

        (NftablesObject What, bool Removed)? kind = type switch
        {
            0 => (NftablesObject.Table, false),
            2 => (NftablesObject.Table, true),
            3 => (NftablesObject.Chain, false),
            5 => (NftablesObject.Chain, true),
            6 => (NftablesObject.Rule, false),
            8 => (NftablesObject.Rule, true),
            9 => (NftablesObject.Set, false),
            11 => (NftablesObject.Set, true),
            12 => (NftablesObject.SetElement, false),
            14 => (NftablesObject.SetElement, true),
            18 or 22 => (NftablesObject.Other, false),
            20 or 24 => (NftablesObject.Other, true),
            _ => null,
        };
        if (kind is not { } known)
        {
            return null;
        }

        string table = "";
        AttributeReader attributes = message.Attributes(NetfilterBodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            if (attribute.Type == 1)
            {
                table = attribute.AsString();
            }
        }

        return new KernelChange.Nftables(message.Payload[0], table, known.What, known.Removed);
    }

    /// <summary>NFTA_GEN_ID 1, NFTA_GEN_PROC_PID 2 (both big endian), NFTA_GEN_PROC_NAME 3.</summary>
    private static KernelChange.NftablesCommit DecodeGeneration(scoped in NetlinkMessage message)
    {
        var commit = new KernelChange.NftablesCommit(0, 0, "");
        AttributeReader attributes = message.Attributes(NetfilterBodyBytes);
        while (attributes.TryRead(out NetlinkAttribute attribute))
        {
            commit = attribute.Type switch
            {
                1 => commit with { Generation = BinaryPrimitives.ReverseEndianness(attribute.AsUInt32()) },
                2 => commit with { ProcessId = BinaryPrimitives.ReverseEndianness(attribute.AsInt32()) },
                3 => commit with { ProcessName = attribute.AsString() },
                _ => commit,
            };
        }

        return commit;
    }
}
