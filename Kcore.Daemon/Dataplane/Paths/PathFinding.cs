using System.Globalization;
using Kcore.Daemon.Cluster.Addressing;

namespace Kcore.Daemon.Dataplane.Paths;

/// <summary>What is wrong with a path, for people, and what helps.</summary>
internal sealed record PathFinding(string What, string Next)
{
    /// <summary>Null when nothing is known to be wrong.</summary>
    public static PathFinding? Of(string peer, PathSight sight, Underlay local) => sight switch
    {
        { State: PathState.Broken, Hears: true } => new(
            $"UDP {PathPacket.Port} to node {peer} ({sight.Address}): tunnel packets do not arrive there, although its own arrive here",
            $"let UDP {PathPacket.Port} pass from {local.Advertised.Address} to {sight.Address}: firewalls of both hosts (kctl doctor on node {peer}) and of the network between them"),
        { State: PathState.Broken } => new(
            $"UDP {PathPacket.Port} to node {peer} ({sight.Address}): tunnel packets are not answered, and none of its own arrive here",
            $"let UDP {PathPacket.Port} pass between {local.Advertised.Address} and {sight.Address}, both ways: firewalls of both hosts (kctl doctor on node {peer}) and of the network between them"),
        { State: PathState.TooSmall } => new(
            string.Create(
                CultureInfo.InvariantCulture,
                $"the path to node {peer} ({sight.Address}) carries packets of at most {sight.Passes} bytes, overlays send up to {sight.Full}: large frames of guests are lost or cut up"),
            string.Create(
                CultureInfo.InvariantCulture,
                $"raise the MTU on the way to node {peer} to {sight.Full}, or set the MTU of {local.Advertised.Interface} to {sight.Passes}, and of the device node {peer} uses")),
        _ => null,
    };

    public override string ToString() => $"{What}: {Next}";
}
