using Microsoft.Extensions.Logging;

namespace Kcore.Daemon;

internal static partial class NodeLog
{
    [LoggerMessage(1001, LogLevel.Information, "kcored {Version} starting: node {Name} ({Id}), VXLAN disabled: {VxlanDisabled}")]
    public static partial void Starting(ILogger logger, string version, string name, string id, bool vxlanDisabled);

    [LoggerMessage(1002, LogLevel.Information, "kcored stopped; the data plane keeps running")]
    public static partial void Stopped(ILogger logger);

    [LoggerMessage(1003, LogLevel.Information, "Made a new cluster key: {Path}. Copy it to the other nodes to let them join")]
    public static partial void KeyMade(ILogger logger, string path);

    [LoggerMessage(1004, LogLevel.Critical, "kcored ends because a part of it failed; the data plane keeps running")]
    public static partial void Failed(ILogger logger, Exception cause);

    [LoggerMessage(1006, LogLevel.Warning, "kcored starts again: {Reason}")]
    public static partial void StartingAgain(ILogger logger, string reason);

    [LoggerMessage(1005, LogLevel.Error, "VXLAN stays enabled although it was to be disabled: NICs of this node use overlays ({Nics}). Detach them and restart kcored")]
    public static partial void VxlanInUse(ILogger logger, string nics);
}
