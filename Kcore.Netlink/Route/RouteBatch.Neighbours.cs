using System.Buffers.Binary;
using System.Net;
using System.Net.NetworkInformation;
using Kcore.Netlink.Messages;

namespace Kcore.Netlink.Route;

public sealed partial class RouteBatch
{
    private const int MacBytes = 6;
    private static readonly PhysicalAddress FloodMac = new(new byte[MacBytes]);

    /// <summary>
    /// Points a remote MAC at a tunnel end, in the table of the VXLAN device and in that of its bridge at once. Works for
    /// new and moved MACs alike and loses nothing in a move, which delete and add would.
    /// </summary>
    /// <remarks>
    /// State NOARP|REACHABLE is "static" for both tables; PERMANENT would make the bridge take the MAC for its own.
    /// </remarks>
    public int ReplaceFdbUnicast(int vxlanIndex, PhysicalAddress mac, IPAddress tunnelEnd)
    {
        CheckMac(mac);
        return PutNeighbour(
            "replace a forwarding entry",
            Nlm.NewNeighbour,
            Nlm.Create | Nlm.Replace,
            Family.Bridge,
            vxlanIndex,
            NeighbourState.NoArp | NeighbourState.Reachable,
            NeighbourFlags.Self | NeighbourFlags.Master,
            mac,
            tunnelEnd);
    }

    /// <summary>
    /// Deletes a remote MAC. ENOENT when a named table has no such entry. With both tables named, the kernel stops at the
    /// bridge's refusal and leaves the other; name one table where only one has it.
    /// </summary>
    /// <param name="tunnelEnd">
    /// Must be the programmed one: with another the kernel reports success for the VXLAN table and deletes nothing there.
    /// </param>
    /// <param name="tables"><see cref="NeighbourFlags.Self"/>, <see cref="NeighbourFlags.Master"/> or both.</param>
    public int DeleteFdbUnicast(
        int vxlanIndex,
        PhysicalAddress mac,
        IPAddress tunnelEnd,
        NeighbourFlags tables = NeighbourFlags.Self | NeighbourFlags.Master)
    {
        CheckMac(mac);
        return PutNeighbour(
            "delete a forwarding entry", Nlm.DelNeighbour, 0, Family.Bridge, vxlanIndex, NeighbourState.None, tables, mac, tunnelEnd);
    }

    /// <summary>Adds a tunnel end to those that unknown, broadcast and multicast frames are copied to. Doubles are accepted silently.</summary>
    public int AppendFdbFlood(int vxlanIndex, IPAddress tunnelEnd) =>
        PutNeighbour(
            "append a flood entry",
            Nlm.NewNeighbour,
            Nlm.Create | Nlm.Append,
            Family.Bridge,
            vxlanIndex,
            NeighbourState.Permanent,
            NeighbourFlags.Self,
            FloodMac,
            tunnelEnd);

    /// <summary>Takes one tunnel end from the flood list.</summary>
    public int DeleteFdbFlood(int vxlanIndex, IPAddress tunnelEnd) =>
        PutNeighbour(
            "delete a flood entry",
            Nlm.DelNeighbour,
            0,
            Family.Bridge,
            vxlanIndex,
            NeighbourState.None,
            NeighbourFlags.Self,
            FloodMac,
            tunnelEnd);

    /// <summary>Pins a local NIC's MAC to its bridge port: static, in the bridge's table only.</summary>
    public int ReplaceFdbLocal(int portIndex, PhysicalAddress mac)
    {
        CheckMac(mac);
        return PutNeighbour(
            "pin a MAC to the port",
            Nlm.NewNeighbour,
            Nlm.Create | Nlm.Replace,
            Family.Bridge,
            portIndex,
            NeighbourState.NoArp,
            NeighbourFlags.Master,
            mac,
            null);
    }

    /// <summary>Deletes a MAC from the bridge's table. ENOENT when the port has no such entry.</summary>
    public int DeleteFdbLocal(int portIndex, PhysicalAddress mac)
    {
        CheckMac(mac);
        return PutNeighbour(
            "unpin a MAC from the port",
            Nlm.DelNeighbour,
            0,
            Family.Bridge,
            portIndex,
            NeighbourState.None,
            NeighbourFlags.Master,
            mac,
            null);
    }

    /// <summary>A permanent ARP or NDP entry, from which a bridge with suppression answers for the remote NIC.</summary>
    public int ReplaceNeighbour(int linkIndex, IPAddress address, PhysicalAddress mac, byte protocol = KcoreMark.Protocol)
    {
        CheckMac(mac);
        return PutNeighbour(
            "replace a neighbour",
            Nlm.NewNeighbour,
            Nlm.Create | Nlm.Replace,
            FamilyOf(address),
            linkIndex,
            NeighbourState.Permanent,
            NeighbourFlags.None,
            mac,
            address,
            protocol);
    }

    /// <summary>Deletes an ARP or NDP entry. ENOENT when there is none.</summary>
    public int DeleteNeighbour(int linkIndex, IPAddress address) =>
        PutNeighbour(
            "delete a neighbour",
            Nlm.DelNeighbour,
            0,
            FamilyOf(address),
            linkIndex,
            NeighbourState.None,
            NeighbourFlags.None,
            null,
            address);

    private static void CheckMac(PhysicalAddress mac)
    {
        if (mac.GetAddressBytes().Length != MacBytes)
        {
            throw new ArgumentException("A MAC has six bytes.", nameof(mac));
        }
    }

    private int PutNeighbour(
        string verb,
        ushort type,
        ushort messageFlags,
        byte family,
        int linkIndex,
        NeighbourState state,
        NeighbourFlags flags,
        PhysicalAddress? mac,
        IPAddress? destination,
        byte protocol = 0)
    {
        CheckIndex(linkIndex);
        return Add(verb, linkIndex, type, messageFlags, (ref writer) =>
        {
            // struct ndmsg: family, pad[3], index, state, flags, type.
            Span<byte> body = writer.Take(Nda.BodyBytes);
            body[0] = family;
            BinaryPrimitives.WriteInt32LittleEndian(body[4..], linkIndex);
            BinaryPrimitives.WriteUInt16LittleEndian(body[8..], (ushort)state);
            body[10] = (byte)flags;
            if (mac is not null)
            {
                writer.PutMac(Nda.LinkAddress, mac);
            }

            if (destination is not null)
            {
                writer.PutAddress(Nda.Destination, destination);
            }

            if (protocol != 0)
            {
                writer.PutByte(Nda.Protocol, protocol);
            }
        });
    }
}
