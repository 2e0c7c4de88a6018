using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class NicText
{
    public static void WriteList(TextWriter output, ImmutableArray<NicInfo> nics, bool wide)
    {
        if (nics.IsEmpty)
        {
            output.WriteLine("There are no NICs. Attach one: kctl attach nic NAME --network NETWORK");
            return;
        }

        ImmutableArray<Column> columns =
            [new("NAME", 16), new("NETWORK", 16), new("ADDRESS", 18), new("MAC", 17), new("NODE", 12), new("DEVICE", 12), new("STATE", 8)];
        ImmutableArray<Column> more =
            [new("BRIDGE", 12), new("GATEWAY", 15), new("MTU", 4, Right: true), new("NETNS", 8), new("IFNAME", 6), new("ATTACHMENT", 32), new("DROPPED", 7), new("REASON", 6)];
        Table.Write(output, wide ? [.. columns, .. more] : columns, nics.Select(n => Row(n, wide)));
    }

    /// <summary>What somebody who just attached a NIC needs to go on.</summary>
    public static void WriteAttached(TextWriter output, NicInfo nic)
    {
        output.WriteLine(Printable.Of($"attached NIC '{nic.Name}' to Network '{nic.Network}' on node {nic.Node}"));
        WriteDevice(output, nic);
    }

    /// <summary>What moved, and what a hypervisor on the other node needs.</summary>
    public static void WriteMoved(TextWriter output, MovedNic moved)
    {
        NicInfo nic = moved.Nic ?? throw CommandFailure.BadReply("kcored's answer names no NIC");
        string where = moved.Verb switch
        {
            "unchanged" => $"on node {moved.To}",
            "aborted" => $"to node {moved.To}; it stays on node {moved.From}",
            _ => $"from node {moved.From} to node {moved.To}",
        };
        output.WriteLine(Printable.Of($"{moved.Verb} NIC '{nic.Name}' of Network '{nic.Network}' {where}"));
        WriteDevice(output, nic);
    }

    private static void WriteDevice(TextWriter output, NicInfo nic)
    {
        Labels labels = new Labels()
            .Add("Address", nic.Address ?? "-")
            .Add("Gateway", nic.Gateway)
            .Add("MAC", nic.Mac)
            .Add("MTU", $"{nic.Mtu}")
            .Add("Device", $"{nic.Device} on {nic.Bridge}");
        if (nic.Netns is not null)
        {
            labels.Add("Interface", $"{nic.Ifname} in {nic.Netns}");
        }

        if (nic.AllowSpoofing == true)
        {
            labels.Add("Spoofing", "allowed");
        }

        labels.Add("State", nic.Reason is null ? nic.State : $"{nic.State}: {nic.Reason}").Write(output);
    }

    /// <summary>Frames in other names than the NIC's own, by reason: <c>arp 12, mac 3</c>.</summary>
    private static string Dropped(NicInfo nic) =>
        nic.AllowSpoofing == true ? "allowed"
        : nic.Dropped.OrEmpty() is { IsEmpty: false } drops ? string.Join(", ", drops.Where(d => d is not null).Select(d => $"{d.Reason} {d.Packets}"))
        : nic.AllowSpoofing is null ? "" : "-";

    private static ImmutableArray<string> Row(NicInfo n, bool wide)
    {
        ImmutableArray<string> row =
            [n.Name ?? "", n.Network ?? "", n.Address ?? "", n.Mac ?? "", n.Node ?? "", n.Device ?? "", n.State ?? ""];
        return wide
            ? [.. row, n.Bridge ?? "", n.Gateway ?? "", $"{n.Mtu}", n.Netns ?? "", n.Ifname ?? "", n.AttachmentId ?? "", Dropped(n), n.Reason ?? ""]
            : row;
    }
}
