using System.Reflection;
using System.Runtime.InteropServices;
using Kcore.Daemon;
using Kcore.Daemon.Cluster.Founding;
using Kcore.Daemon.Cluster.Trust;
using Kcore.Daemon.Hosting;
using Kcore.Daemon.Ipam.Recovery;
using Kcore.Daemon.Storage;

return await CommandLine.InvokeAsync(args, async (file, flags, _) =>
{
    const int Failure = 1;
    try
    {
        DaemonOptions options = DaemonOptions.Load(file, flags);
        string version = Assembly.GetExecutingAssembly().GetName().Version?.ToString(3) ?? "0.0.0";
        using var log = new DaemonLog(options.Node.LogLevel);
        using var stop = new CancellationTokenSource();
        using PosixSignalRegistration terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        try
        {
            while (true)
            {
                try
                {
                    await Node.RunAsync(options, version, log, TimeProvider.System, stop.Token);
                    return 0;
                }
                catch (StartAgainException e)
                {
                    NodeLog.StartingAgain(log.Factory.CreateLogger("Kcore.Daemon"), e.Message);
                }
            }
        }
        catch (Exception e) when (e is ConfigurationException or ClusterKeyFileException or StorageException)
        {
            throw;
        }
        catch (Exception e)
        {
            NodeLog.Failed(log.Factory.CreateLogger("Kcore.Daemon"), e);
            return Failure;
        }

        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stop.Cancel();
        }
    }
    catch (Exception e) when (e is ConfigurationException or ClusterKeyFileException or StorageException)
    {
        await Console.Error.WriteLineAsync($"kcored: {e.Message}");

        // Nobody but an operator mends a configuration, so the service is not started again; a full disk may get room.
        return e is StorageException ? Failure : CommandLine.UsageError;
    }
},
(file, flags, asked) =>
{
    const int Failure = 1;
    try
    {
        OfflineRecovery.Run(
            DaemonOptions.Load(file, flags).Node.DataDir, new RecoverRequest(asked.Survivors, asked.Lost, asked.Show, asked.Yes), Console.Out);
        return 0;
    }
    catch (Exception e) when (e is ConfigurationException or RecoveryRefusedException or StorageException)
    {
        Console.Error.WriteLine($"kcored recover: {e.Message}");
        return e is ConfigurationException ? CommandLine.UsageError : Failure;
    }
});
