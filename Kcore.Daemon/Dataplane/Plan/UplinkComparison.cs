using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Plan;

/// <summary>
/// Compares the devices of the host that bridge networks lead to. They carry no mark of ours and stay the host's: only
/// what we made a port ourselves, by our own record, is ever given back.
/// </summary>
internal sealed class UplinkComparison
{
    private readonly DesiredState _desired;
    private readonly ObservedState _observed;
    private readonly Dictionary<string, UplinkPort> _seen;

    public UplinkComparison(DesiredState desired, ObservedState observed)
    {
        _desired = desired;
        _observed = observed;
        _seen = observed.Owned.Uplinks.ToDictionary(u => u.Device, StringComparer.Ordinal);
    }

    /// <summary>Why a device cannot be what a network wants it to be; null when it can.</summary>
    public string? Obstacle(UplinkPort wanted)
    {
        if (_observed.Foreign.FirstOrDefault(f => f.Name == wanted.Device) is not { } device)
        {
            return _observed.Indexes.ContainsKey(wanted.Device) ? $"device {wanted.Device} is Kcore's own" : $"device {wanted.Device} is not there";
        }

        if (_seen.ContainsKey(wanted.Device))
        {
            return null;
        }

        // A host that cuts itself off cannot be told to undo it (behaviour 87).
        return _observed.DefaultRouteDevices.Contains(wanted.Device) ? $"{wanted.Device} is the management interface: the default route leaves by it"
            : device.Master is { } master ? $"{wanted.Device} is a port of {master} already"
            : device.Kind is "bridge" ? $"{wanted.Device} is a bridge itself"
            : null;
    }

    public IEnumerable<DataplaneStep> Wanted(LinkComparison links) =>
        from wanted in _desired.Uplinks
        where links.IsWorkedOn(wanted.Origin)
        let seen = _seen.GetValueOrDefault(wanted.Value.Device)
        where !wanted.Value.Equals(seen) || links.IsMade(wanted.Value.Bridge)
        select new DataplaneStep.Enslave(wanted.Value, _observed.Indexes[wanted.Value.Device], WasUp(wanted.Value.Device), wanted.Origin);

    public IEnumerable<DataplaneStep> Gone(IReadOnlySet<string> spared)
    {
        HashSet<string> wanted = [.. _desired.Uplinks.Select(w => w.Value.Device)];
        return _observed.RememberedUplinks
            .Where(r => !wanted.Contains(r.Key) && !(_seen.TryGetValue(r.Key, out UplinkPort? port) && spared.Contains(port.Bridge)))
            .OrderBy(r => r.Key, StringComparer.Ordinal)
            .Select(r =>
            {
                int? index = _observed.Indexes.TryGetValue(r.Key, out int found) ? found : null;
                bool isPort = _seen.ContainsKey(r.Key);

                // Somebody else's port by now: what it should be is theirs to say.
                bool ours = isPort || _observed.Foreign.FirstOrDefault(f => f.Name == r.Key) is { Master: null };
                return new DataplaneStep.ReleaseUplink(
                    r.Key, ours ? index : null, isPort, Lower: ours && !r.Value, new Origin("", null, "no network leads to it any more"));
            });
    }

    private bool WasUp(string device) => _observed.RememberedUplinks.TryGetValue(device, out bool before)
        ? before
        : _observed.Foreign.FirstOrDefault(f => f.Name == device) is { Up: true };
}
