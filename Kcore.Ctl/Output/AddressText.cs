using System.Collections.Immutable;
using Kcore.Contracts;
using Kcore.Ctl.Client;

namespace Kcore.Ctl.Output;

internal static class AddressText
{
    public static void Write(TextWriter output, NetworkAddresses addresses, bool wide)
    {
        Labels labels = new Labels().Add("Network", addresses.Network).Add("Subnet", addresses.Subnet);
        if (addresses.DhcpRange is { } range)
        {
            labels.Add("DHCP range", range);
        }

        ImmutableArray<AddressLease> leases = [.. addresses.Leases.OrEmpty().Where(l => l is not null)];
        labels.Add("Used", $"{addresses.Used} of {addresses.Size}")
            .Add("Free", $"{addresses.Free}")
            .Add("Next", addresses.Next ?? "none left");
        if (addresses.AddressReuse is { } reuse)
        {
            labels.Add("Address reuse", reuse);
        }

        if (addresses.Resting > 0)
        {
            labels.Add("Resting", $"{addresses.Resting}");
        }

        ImmutableArray<ParkedLease> parked = [.. addresses.Parked.OrEmpty().Where(p => p is not null)];
        if (addresses.EmergencyReserve is { } reserve and > 0)
        {
            labels.Add("Emergency reserve", $"{reserve} for each node, {parked.Length} parked");
        }

        labels.Add("Reserved", string.Join(", ", addresses.Reserved.OrEmpty().Where(r => r is not null).Select(Reserved)));
        if (leases.Count(l => l.State == "orphaned") is > 0 and var orphaned)
        {
            labels.Add("Orphaned", $"{orphaned}");
        }

        labels.Write(output);
        output.WriteLine();
        if (leases.IsEmpty && parked.IsEmpty)
        {
            output.WriteLine("No address is held.");
            return;
        }

        ImmutableArray<Column> columns = [new("ADDRESS", 16), new("NIC", 16), new("NODE", 12), new("MAC", 17), new("STATE", 8)];
        Table.Write(output, wide ? [.. columns, new Column("NODE ID", 32), new Column("ATTACHMENT", 32)] : columns, leases.Select(l => Row(l, wide)).Concat(parked.Select(p => Row(p, wide))));
    }

    private static string Reserved(ReservedRange range) =>
        $"{(range.First == range.Last ? range.First : $"{range.First}-{range.Last}")} ({range.Reason})";

    private static ImmutableArray<string> Row(AddressLease lease, bool wide)
    {
        ImmutableArray<string> row = [lease.Address ?? "", lease.Nic ?? "", lease.Node ?? "", lease.Mac ?? "", lease.State ?? ""];
        return wide ? [.. row, lease.NodeId ?? "", lease.AttachmentId ?? ""] : row;
    }

    private static ImmutableArray<string> Row(ParkedLease parked, bool wide)
    {
        ImmutableArray<string> row = [parked.Address ?? "", parked.Nic ?? "-", parked.Node ?? "", "-", parked.State ?? ""];
        return wide ? [.. row, parked.NodeId ?? "", "-"] : row;
    }
}
