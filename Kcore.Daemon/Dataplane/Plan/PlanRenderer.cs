using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text;
using Kcore.Daemon.Catalog.Naming;
using Kcore.Netlink.Route;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>A step for people and tools.</summary>
/// <param name="Op">+ add, ~ change, - remove, = held back, ! refused.</param>
/// <param name="Object">link, port, addr, fdb, neigh, nic, nft, sysctl …</param>
internal sealed record PlanLine(char Op, string Object, string Device, string Detail, string Reason, bool Disruptive);

/// <summary>A plan as lines, the same for the same plan, byte for byte.</summary>
internal static class PlanRenderer
{
    private const int ElementsShown = 12;

    public static ImmutableArray<PlanLine> Lines(DataplanePlan plan) =>
    [
        .. plan.Steps.Select(Line),
        .. plan.HeldBack.Select(s => Line(s) with { Op = '=', Reason = $"held back: {plan.HeldBackReason}" }),
        .. plan.Refusals.Select(r => new PlanLine(
            '!', r.Object, r.Device, r.Reason,
            r.Overlay + (r.Nic is null ? "" : $" {r.Nic}") + " refused", Disruptive: false)),
    ];

    public static string Text(DataplanePlan plan)
    {
        ImmutableArray<PlanLine> lines = Lines(plan);
        StringBuilder text = new();
        foreach (PlanLine line in lines)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"{line.Op} {line.Object,-6} {line.Device,-15} {line.Detail,-42} ({line.Reason}{(line.Disruptive ? "; disruptive" : "")})\n");
        }

        int Count(char op) => lines.Count(l => l.Op == op);
        foreach (string advisory in plan.Advisories)
        {
            text.Append(CultureInfo.InvariantCulture, $"note: {advisory}\n");
        }

        text.Append(CultureInfo.InvariantCulture,
            $"Plan: {Count('+')} to add, {Count('~')} to change, {Count('-')} to remove, {Count('!')} refused, {Count('=')} held back; {lines.Count(l => l.Disruptive)} disruptive.\n");
        return text.ToString();
    }

    public static PlanLine Line(DataplaneStep step)
    {
        (char op, string kind, string detail) = Describe(step);
        return new PlanLine(op, kind, step.Device, detail, step.Origin.Reason, step.Disruptive);
    }

    private static (char Op, string Object, string Detail) Describe(DataplaneStep step) => step switch
    {
        DataplaneStep.WriteSysctl s => ('~', "sysctl", $"{s.Sysctl.Path} {s.OldValue ?? "default"} -> {s.Sysctl.Value}"),
        DataplaneStep.RestoreSysctl s => ('~', "sysctl", $"{s.Path} -> {s.Value} as before"),
        DataplaneStep.ReplaceNft s => Nft(s),
        DataplaneStep.CreateLink s => ('+', "link", Describe(s.Link)),
        DataplaneStep.ChangeLink { From: null } s => ('~', "link", $"adopt {Describe(s.To)}"),
        DataplaneStep.ChangeLink s => ('~', "link", string.Join(' ', Differences(s.From, s.To))),
        DataplaneStep.DeleteLink s => ('-', "link", LinkComparison.KindOf(s.Link) + (s.Replaces ? " to be made anew" : "")),
        DataplaneStep.Enslave s => ('~', "uplink", $"master {s.Port.Bridge} up"),
        DataplaneStep.ReleaseUplink s => ('~', "uplink", s.Index is null ? "forget, it is gone" : $"released{(s.Lower ? ", down" : "")} as before"),
        DataplaneStep.AddAltName s => ('+', "name", s.AltName.Name),
        DataplaneStep.SetPort s => (s.From is null ? '+' : '~', "port", Flags(s.To)),
        DataplaneStep.AddAddress s => ('+', "addr", $"{s.Address.Local}/{s.Address.PrefixLength}"),
        DataplaneStep.AddRoute { Route.Kind: RouteKind.Local } s => ('+', "route", $"local {s.Route.Address.Local}"),
        DataplaneStep.AddRoute s => ('+', "route", $"{s.Route.Destination} src {s.Route.Address.Local}"),
        DataplaneStep.DeleteAddress s => ('-', "addr", $"{s.Address.Local}/{s.Address.PrefixLength}"),
        DataplaneStep.AddFlood s => ('+', "fdb", Describe(s.Entry)),
        DataplaneStep.SetRemoteMac { OldDestination: { } old } s => ('~', "fdb", $"{DerivedNames.MacText(s.Entry.Mac)} {old} -> {s.Entry.Destination}"),
        DataplaneStep.SetRemoteMac s => ('+', "fdb", Describe(s.Entry)),
        DataplaneStep.DeleteTunnelEntry s => ('-', "fdb", Describe(s.Entry)),
        DataplaneStep.SetBridgeEntry s => ('+', "fdb", $"{DerivedNames.MacText(s.Entry.Mac)} static"),
        DataplaneStep.DeleteBridgeEntry s => ('-', "fdb", $"{DerivedNames.MacText(s.Entry.Mac)} {(s.Entry.Kind == BridgeEntryKind.Static ? "static" : "learnt")}"),
        DataplaneStep.SetNeighbour { OldMac: { } old } s => ('~', "neigh", $"{s.Neighbour.Address} is {DerivedNames.MacText(s.Neighbour.Mac)}, was {DerivedNames.MacText(old)}"),
        DataplaneStep.SetNeighbour s => ('+', "neigh", $"{s.Neighbour.Address} is {DerivedNames.MacText(s.Neighbour.Mac)}"),
        DataplaneStep.DeleteNeighbour s => ('-', "neigh", $"{s.Neighbour.Address} is {DerivedNames.MacText(s.Neighbour.Mac)}"),
        DataplaneStep.ConfigureGuest s => ('~', "nic", $"{s.Guest.Name} in {s.Guest.NamespacePath}: {Describe(s.Guest, s.Faults)}"),
        _ => throw new InvalidOperationException($"step {step.GetType().Name} has no line"),
    };

    private static (char, string, string) Nft(DataplaneStep.ReplaceNft step)
    {
        if (step.Tables is null)
        {
            return ('-', "nft", "tables inet, bridge");
        }

        if (step.Observed is null)
        {
            return ('+', "nft", $"tables inet, bridge with {step.Tables.Elements.Sum(s => s.Value.Count)} elements");
        }

        List<string> parts = [];
        if (!step.Tables.Skeleton.SequenceEqual(step.Observed.Skeleton))
        {
            parts.Add("chains and rules");
        }

        foreach ((string set, ImmutableSortedSet<string> wanted) in step.Tables.Elements)
        {
            ImmutableSortedSet<string> seen = step.Observed.Elements.GetValueOrDefault(set) ?? [];
            parts.AddRange(wanted.Except(seen).Select(e => $"+{e}"));
            parts.AddRange(seen.Except(wanted).Select(e => $"-{e}"));
        }

        // A whole network's worth of elements tells people nothing one by one.
        return ('~', "nft", string.Join(", ", parts.Count <= ElementsShown ? parts : [.. parts.Take(ElementsShown), $"{parts.Count - ElementsShown} more"]));
    }

    private static string Describe(TunnelEntry entry) =>
        $"{(entry.IsFlood ? "flood" : DerivedNames.MacText(entry.Mac))} -> {entry.Destination}";

    private static string Describe(Link link) => link switch
    {
        Link.Bridge b => $"bridge mtu {b.Mtu} mac {DerivedNames.MacText(b.Mac)}",
        Link.Vxlan v => $"vxlan {v.Vni} local {Endpoint(v.Local, v.Port)} mtu {v.Mtu} master {v.Master}",
        Link.Vlan v => $"vlan {v.Id} on {v.Parent} mtu {v.Mtu}{(v.Master is null ? "" : $" master {v.Master}")}",
        Link.Tap t => $"tap mtu {t.Mtu} master {t.Master}",
        Link.Veth v => $"veth mtu {v.Mtu} master {v.Master}",
        _ => link.Name,
    };

    private static string Endpoint(IPAddress? address, int port) =>
        address is null ? "none" : new IPEndPoint(address, port).ToString();

    private static string Flags(PortFlags port) =>
        $"learning {OnOff(port.Learning)} locked {OnOff(port.Locked)} neigh_suppress {OnOff(port.NeighSuppress)}"
        + (port.Isolated ? " isolated on" : "")
        + (port.Floods ? "" : " flood off");

    private static string OnOff(bool on) => on ? "on" : "off";

    private static IEnumerable<string> Differences(Link from, Link to)
    {
        if (from.Mtu != to.Mtu)
        {
            yield return $"mtu {from.Mtu} -> {to.Mtu}";
        }

        if (from.Up != to.Up)
        {
            yield return $"{(from.Up ? "up" : "down")} -> {(to.Up ? "up" : "down")}";
        }

        if (from.Alias != to.Alias)
        {
            yield return $"alias \"{to.Alias}\"";
        }

        if (from.MasterName != to.MasterName)
        {
            yield return $"master {from.MasterName ?? "none"} -> {to.MasterName ?? "none"}";
        }

        switch (from, to)
        {
            case (Link.Bridge f, Link.Bridge t):
                if (!f.Mac.Equals(t.Mac))
                {
                    yield return $"mac {DerivedNames.MacText(f.Mac)} -> {DerivedNames.MacText(t.Mac)}";
                }

                break;
            case (Link.Vxlan f, Link.Vxlan t):
                if (!f.Mac.Equals(t.Mac))
                {
                    yield return $"mac {DerivedNames.MacText(f.Mac)} -> {DerivedNames.MacText(t.Mac)}";
                }

                if (!Equals(f.Local, t.Local))
                {
                    yield return $"local {f.Local?.ToString() ?? "none"} -> {t.Local?.ToString() ?? "none"}";
                }

                if (f.Learning != t.Learning)
                {
                    yield return $"learning {OnOff(f.Learning)} -> {OnOff(t.Learning)}";
                }

                break;
        }
    }

    private static string Describe(GuestInterface guest, GuestFaults faults)
    {
        List<string> parts = [];
        void Add(GuestFaults fault, string text)
        {
            if (faults.HasFlag(fault))
            {
                parts.Add(text);
            }
        }

        Add(GuestFaults.Mac, $"mac {DerivedNames.MacText(guest.Mac)}");
        Add(GuestFaults.Mtu, $"mtu {guest.Mtu}");
        Add(GuestFaults.StaleAddress, "old address off");
        Add(GuestFaults.Address, $"{guest.Address}/{guest.PrefixLength}");
        Add(GuestFaults.Down, "up");
        Add(GuestFaults.LoopbackDown, "lo up");
        Add(GuestFaults.DefaultRoute, $"default via {guest.Gateway}");
        return string.Join(", ", parts);
    }
}
