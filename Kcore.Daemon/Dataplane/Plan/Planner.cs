using System.Collections.Immutable;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>
/// Desired and observed → steps, pure. The whole state is compared each time: 100,000 entries differ in
/// milliseconds, and there is no incremental memory that could be wrong.
/// Order: what is added comes first, from the outside in (settings, filter, devices, entries, NICs, guests);
/// what goes comes last, entries before devices, so that nobody is ever without both the old and the new.
/// </summary>
internal static class Planner
{
    public static DataplanePlan Plan(DesiredState desired, ObservedState observed)
    {
        LinkComparison links = new(desired, observed);
        EntryComparison entries = new(desired, observed, links);
        List<DataplaneStep> steps =
        [
            .. HostSysctls(desired, observed, links),
            .. Nft(desired, observed, links),
            .. links.Replaced,
            .. links.Bridges,
            .. links.Tunnels,
            .. links.Uplinks,
            .. AltNames(desired, observed, links),
            .. DeviceSysctls(desired, observed, links, ofNics: false),
            .. entries.TunnelPorts,
            .. entries.Addresses,
            .. entries.Routes,
            .. entries.Flood,
            .. entries.RemoteMacs,
            .. entries.Neighbours,
            .. links.Nics,
            .. entries.NicPorts,
            .. entries.NicMacs,
            .. DeviceSysctls(desired, observed, links, ofNics: true),
            .. links.Guests,
        ];
        List<DataplaneStep> removals =
        [
            .. entries.GoneNeighbours,
            .. entries.GoneEntries,
            .. entries.GoneAddresses,
            .. links.ReleasedUplinks,
            .. links.Gone,
            .. GoneNft(desired, observed, links),
            .. GoneSysctls(desired, observed),
        ];
        bool held = desired.DeletionsHeldBack is not null;
        return new DataplanePlan(
            held ? [.. steps] : [.. steps, .. removals],
            held ? [.. removals] : [],
            held && removals.Count > 0 ? desired.DeletionsHeldBack : null,
            [.. desired.Refusals, .. links.Refusals],
            observed.Advisories);
    }

    private static IEnumerable<DataplaneStep> HostSysctls(DesiredState desired, ObservedState observed, LinkComparison links)
    {
        Dictionary<string, string> seen = observed.Owned.Sysctls.ToDictionary(s => s.Path, s => s.Value, StringComparer.Ordinal);
        return desired.Sysctls
            .Where(w => w.Value.Device is null && links.IsWorkedOn(w.Origin))
            .DistinctBy(w => w.Value.Path, StringComparer.Ordinal)
            .Where(w => seen.GetValueOrDefault(w.Value.Path) != w.Value.Value && !observed.AbsentSysctls.Contains(w.Value.Path))
            .Select(w => new DataplaneStep.WriteSysctl(w.Value, seen.GetValueOrDefault(w.Value.Path), w.Origin));
    }

    private static IEnumerable<DataplaneStep> DeviceSysctls(
        DesiredState desired, ObservedState observed, LinkComparison links, bool ofNics)
    {
        Dictionary<string, string> seen = observed.Owned.Sysctls.ToDictionary(s => s.Path, s => s.Value, StringComparer.Ordinal);
        foreach (Wanted<Sysctl> wanted in desired.Sysctls)
        {
            if (wanted.Value.Device is not { } device || wanted.Origin.Nic is not null != ofNics || !links.IsWorkedOn(wanted.Origin))
            {
                continue;
            }

            // A device made by this plan has the defaults; one that is there and lacks the file has no such setting.
            bool made = links.IsMade(device);
            string? value = made ? null : seen.GetValueOrDefault(wanted.Value.Path);
            if (value != wanted.Value.Value && (made || !observed.AbsentSysctls.Contains(wanted.Value.Path)))
            {
                yield return new DataplaneStep.WriteSysctl(wanted.Value, value, wanted.Origin);
            }
        }
    }

    private static IEnumerable<DataplaneStep> AltNames(DesiredState desired, ObservedState observed, LinkComparison links)
    {
        HashSet<AltName> seen = [.. observed.Owned.AltNames];
        return desired.AltNames
            .Where(w => links.IsWorkedOn(w.Origin) && (links.IsMade(w.Value.Device) || !seen.Contains(w.Value)))
            .Where(w => !observed.Indexes.ContainsKey(w.Value.Name))
            .Select(w => new DataplaneStep.AddAltName(w.Value, w.Origin));
    }

    private static IEnumerable<DataplaneStep> Nft(DesiredState desired, ObservedState observed, LinkComparison links)
    {
        NftTables? seen = observed.Owned.Nft;
        NftTables? wanted = desired.NftWithout(links.OverlaysLeftAlone);
        if (wanted is not null && desired.DeletionsHeldBack is not null && seen is not null)
        {
            wanted = WithElementsOf(wanted, seen);
        }

        return wanted is null || wanted.Equals(seen)
            ? []
            : [new DataplaneStep.ReplaceNft(wanted, seen, new Origin("", null, "networks are on this node"))];
    }

    private static IEnumerable<DataplaneStep> GoneNft(DesiredState desired, ObservedState observed, LinkComparison links) =>
        observed.Owned.Nft is { } seen && desired.NftWithout(links.OverlaysLeftAlone) is null
            ? [new DataplaneStep.ReplaceNft(null, seen, new Origin("", null, "no network of this node needs them"))]
            : [];

    /// <summary>
    /// While nothing may be taken away, elements that are there stay: a catalog that is not complete yet must not
    /// shut out members. What a stranger put in a form we do not write is not kept.
    /// </summary>
    private static NftTables WithElementsOf(NftTables wanted, NftTables seen) => NftSkeleton.With(wanted.Elements.ToImmutableSortedDictionary(
        set => set.Key,
        set => Kept(NftSkeleton.Sets.First(s => s.Key == set.Key), set.Value, seen.Elements.GetValueOrDefault(set.Key) ?? []),
        StringComparer.Ordinal));

    /// <summary>Of a map, one key leads to one place: the new one.</summary>
    private static ImmutableSortedSet<string> Kept(NftSkeleton.SetDefinition set, ImmutableSortedSet<string> wanted, ImmutableSortedSet<string> seen)
    {
        HashSet<string> keys = [.. wanted.Select(Key)];
        return Subnets.Collapse([.. wanted, .. seen.Where(e => NftSkeleton.IsPlainElement(set.Key, e) && !keys.Contains(Key(e)))], set);

        string Key(string element) => set.Data is null ? element : element.Split(" : ")[0];
    }

    private static IEnumerable<DataplaneStep> GoneSysctls(DesiredState desired, ObservedState observed)
    {
        HashSet<string> wanted = [.. desired.Sysctls.Select(w => w.Value.Path)];
        return observed.RememberedSysctls
            .Where(r => !wanted.Contains(r.Key))
            .OrderBy(r => r.Key, StringComparer.Ordinal)
            .Select(r => new DataplaneStep.RestoreSysctl(r.Key, r.Value, new Origin("", null, "no network needs it any more")));
    }
}
