using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>
/// Remembers with which forwarding entries nothing was left to do. As long as the same is wanted, and every device of a bridge is
/// what it was with the same entries, comparing them again would find the same.
/// </summary>
internal sealed class SettledForwarding
{
    private readonly Dictionary<string, (Link Link, DeviceForwarding Entries)> _devices = new(StringComparer.Ordinal);
    private DesiredState? _desired;

    /// <summary>What a look found, with what of it need not be compared.</summary>
    public ObservedState Mark(DesiredState desired, ObservedState observed)
    {
        if (!ReferenceEquals(desired, _desired))
        {
            return observed;
        }

        HashSet<string> changed = new(StringComparer.Ordinal);
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (Link link in observed.Owned.Links)
        {
            seen.Add(link.Name);
            if (!_devices.TryGetValue(link.Name, out (Link Link, DeviceForwarding Entries) known))
            {
                changed.Add(BridgeOf(link));
            }
            else if (!known.Link.Equals(link) || !ReferenceEquals(known.Entries, observed.Forwarding.GetValueOrDefault(link.Name)))
            {
                // Of one that changed its bridge, both bridges.
                changed.Add(BridgeOf(link));
                changed.Add(BridgeOf(known.Link));
            }
        }

        changed.UnionWith(_devices.Where(d => !seen.Contains(d.Key)).Select(d => BridgeOf(d.Value.Link)));

        return observed with { Settled = observed.Owned.Links.Where(l => !changed.Contains(BridgeOf(l))).Select(l => l.Name).ToHashSet(StringComparer.Ordinal) };
    }

    /// <summary>A plan that was made of a look.</summary>
    public void Note(DesiredState desired, ObservedState observed, DataplanePlan plan)
    {
        _devices.Clear();
        _desired = desired;
        if (!plan.IsEmpty || !plan.HeldBack.IsEmpty)
        {
            return;
        }

        // What is refused is not compared either, and may be wanted again without any change of a device.
        HashSet<string> refused = [.. plan.Refusals.Select(r => r.Overlay)];
        HashSet<string> open = [.. desired.Links.Where(l => refused.Contains(l.Origin.Overlay)).Select(l => l.Value.Name)];
        foreach (Link link in observed.Owned.Links)
        {
            if (!open.Contains(link.Name) && observed.Forwarding.TryGetValue(link.Name, out DeviceForwarding? entries))
            {
                _devices[link.Name] = (link, entries);
            }
        }
    }

    private static string BridgeOf(Link link) => link.MasterName ?? link.Name;
}
