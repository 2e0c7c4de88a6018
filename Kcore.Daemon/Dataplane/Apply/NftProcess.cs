using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Kcore.Daemon.Dataplane.Desired;
using Kcore.Daemon.Dataplane.Observed;

namespace Kcore.Daemon.Dataplane.Apply;

/// <summary>
/// nftables through the nft program, one process per question: the library behind it can crash its caller on
/// malformed input.
/// </summary>
internal sealed class NftProcess(HomeNamespace home, TimeProvider time)
{
    /// <summary>A hanging nft (a held kernel lock) must not hang the data plane.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(10);

    /// <summary>Our tables as they are; null when there is none.</summary>
    /// <exception cref="DataplaneException">nft is missing or failed.</exception>
    public async Task<NftTables?> ReadAsync(CancellationToken cancellationToken)
    {
        List<string> listings = [];
        foreach (string family in NftSkeleton.Families)
        {
            (int code, string output, string error) = await RunAsync(
                ["-j", "list", "table", family, NftSkeleton.TableName], null, cancellationToken);
            if (code == 0)
            {
                listings.Add(output);
            }
            else if (!error.Contains("No such file or directory", StringComparison.Ordinal))
            {
                throw Failed(error, code);
            }
        }

        try
        {
            return NftListing.Read(listings);
        }
        catch (System.Text.Json.JsonException e)
        {
            throw new DataplaneException($"nft printed a listing that cannot be understood: {e.Message}", e);
        }
    }

    /// <summary>Puts our tables in place of what they were, in one transaction; null removes them.</summary>
    /// <param name="before">The tables that are replaced, whose counts go on.</param>
    /// <exception cref="DataplaneException">nft is missing or refused; then nothing was changed.</exception>
    public async Task ReplaceAsync(NftTables? tables, NftTables? before, CancellationToken cancellationToken)
    {
        (int code, _, string error) = await RunAsync(["-f", "-"], NftText.Render(tables, before?.Counts), cancellationToken);
        if (code != 0)
        {
            throw Failed(error, code);
        }
    }

    private static DataplaneException Failed(string error, int code) =>
        new($"nft failed with exit code {code}: {error.Trim().Split('\n')[0]}");

    private async Task<(int Code, string Output, string Error)> RunAsync(
        string[] arguments, string? input, CancellationToken cancellationToken)
    {
        ProcessStartInfo start = new("nft", arguments)
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false),
        };
        start.Environment["LC_ALL"] = "C";
        using Process process = new() { StartInfo = start };
        try
        {
            home.Run(process.Start);
        }
        catch (Win32Exception e)
        {
            throw new DataplaneException($"the nft program could not be started: {e.Message}", e);
        }

        using CancellationTokenSource deadline = new(_patience, time);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            Task<string> output = process.StandardOutput.ReadToEndAsync(either.Token);
            Task<string> error = process.StandardError.ReadToEndAsync(either.Token);
            await WriteAsync(process, input, either.Token);
            await process.WaitForExitAsync(either.Token);
            return (process.ExitCode, await output, await error);
        }
        catch (OperationCanceledException e) when (!process.HasExited)
        {
            process.Kill();
            if (cancellationToken.IsCancellationRequested)
            {
                throw;
            }

            throw new DataplaneException($"nft did not answer within {_patience.TotalSeconds:0} s", e);
        }
    }

    private static async Task WriteAsync(Process process, string? input, CancellationToken cancellationToken)
    {
        try
        {
            if (input is not null)
            {
                await process.StandardInput.WriteAsync(input.AsMemory(), cancellationToken);
            }

            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading; its exit code and words tell why.
        }
    }
}
